# One target per module, all with the same warnings, sanitizers and include root.
#
#   ringway_module(NAME SOURCES a.cpp b.cpp USES ringway_base ...)      a static library
#   ringway_program(NAME SOURCES main.cpp USES ...)                     an executable in bin/
#   ringway_unit_test(NAME SOURCES x_test.cpp USES ...)                 a GoogleTest program, registered with CTest

add_library(ringway_options INTERFACE)
target_include_directories(ringway_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(ringway_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wunused -Wformat=2 -Wimplicit-fallthrough -Werror
  -fno-omit-frame-pointer -fstack-protector-strong)
if(NOT RINGWAY_SANITIZE AND CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(ringway_options INTERFACE -D_FORTIFY_SOURCE=2)
endif()
if(RINGWAY_SANITIZE)
  target_compile_options(ringway_options INTERFACE -fsanitize=${RINGWAY_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(ringway_options INTERFACE -fsanitize=${RINGWAY_SANITIZE})
endif()

function(ringway_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ringway_options ${ARG_USES})
endfunction()

function(ringway_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ringway_options ${ARG_USES})
endfunction()

function(ringway_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ringway_options ${ARG_USES} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
endfunction()
