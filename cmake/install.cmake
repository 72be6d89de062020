# What is installed: headers, library, CMake package, pkg-config file, tool. No path in it is
# absolute, so the installed tree may be moved.
# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/strobe)
install(DIRECTORY include/strobe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS strobe EXPORT strobeTargets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT strobeTargets NAMESPACE strobe:: DESTINATION ${package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/strobe)
if(TARGET strobe_tool)
  install(TARGETS strobe_tool RUNTIME)
endif()

write_basic_package_version_file(${PROJECT_BINARY_DIR}/strobeConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES cmake/strobeConfig.cmake ${PROJECT_BINARY_DIR}/strobeConfigVersion.cmake
        DESTINATION ${package_dir})

# Of a static library a C compiler does not know what else to link; a shared one brings it along.
set(STROBE_PC_LIBS "")
get_target_property(type strobe TYPE)
if(type STREQUAL STATIC_LIBRARY)
  foreach(library ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
    if(library MATCHES "^(stdc\\+\\+|c\\+\\+|c\\+\\+abi|m)$")
      string(APPEND STROBE_PC_LIBS " -l${library}")
    endif()
  endforeach()
  string(APPEND STROBE_PC_LIBS " -pthread")
endif()
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
           BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
           OUTPUT_VARIABLE STROBE_PC_PREFIX)
configure_file(cmake/strobe.pc.in ${PROJECT_BINARY_DIR}/strobe.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/strobe.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
