# One target per module, all with the same warnings, sanitizers and include root.
#
#   ringway_module(NAME SOURCES a.cpp b.cpp USES ringway_base ...)      a static library
#   ringway_program(NAME SOURCES main.cpp USES ...)                     an executable in bin/
#   ringway_unit_test(NAME [NO_TSAN] SOURCES x_test.cpp USES ...)       a GoogleTest program, registered with CTest
#       The target unit_tests builds them all. NO_TSAN: there is nothing for ThreadSanitizer to find
#       (one thread, or threads that meet in sockets only), so its preset leaves the program out.

add_library(ringway_options INTERFACE)
target_include_directories(ringway_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(ringway_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wunused -Wformat=2 -Wimplicit-fallthrough -Werror
  -fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees overlaps in std::string's operator+ that are not there (its bug 105651).
  target_compile_options(ringway_options INTERFACE -Wno-restrict)
endif()
if(NOT RINGWAY_SANITIZE AND CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(ringway_options INTERFACE -D_FORTIFY_SOURCE=2)
endif()
if(RINGWAY_SANITIZE)
  target_compile_options(ringway_options INTERFACE -fsanitize=${RINGWAY_SANITIZE} -fno-sanitize-recover=all)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Instrumentation hides initialisations from GCC; the other builds keep this warning.
    target_compile_options(ringway_options INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_link_options(ringway_options INTERFACE -fsanitize=${RINGWAY_SANITIZE})
endif()
if(RINGWAY_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(ringway_options INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(RINGWAY_FUZZ)
  # Coverage for libFuzzer in every module; -fsanitize=function of clang 14 cannot compile coroutines.
  target_compile_options(ringway_options INTERFACE -fsanitize=fuzzer-no-link -fno-sanitize=function)
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

add_custom_target(unit_tests)

function(ringway_unit_test name)
  cmake_parse_arguments(ARG "NO_TSAN" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ringway_options ${ARG_USES} GTest::gmock GTest::gtest_main)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 is wrong about std::vector's growth and about tests that replace operator new; in tests
    # AddressSanitizer finds the true cases.
    target_compile_options(${name} PRIVATE -Wno-array-bounds -Wno-stringop-overflow
      -Wno-stringop-overread -Wno-mismatched-new-delete)
  endif()
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    # What is tested is optimised as it is shipped; the tests themselves need not be.
    target_compile_options(${name} PRIVATE -O1)
  endif()
  if(ARG_NO_TSAN AND RINGWAY_SANITIZE STREQUAL "thread")
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL TRUE)
    return()
  endif()
  add_dependencies(unit_tests ${name})
  add_test(NAME ${name} COMMAND ${name})
endfunction()
