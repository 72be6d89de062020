# find_package(strobe) gives the target strobe::strobe.
# SPDX-License-Identifier: Apache-2.0
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/strobeTargets.cmake)
