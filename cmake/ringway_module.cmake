# One target per module, all with the same warnings, sanitizers and include root.
#
#   ringway_module(NAME [COLD|ALONE] SOURCES a.cpp [FUZZED b.cpp] USES ringway_base ...)   a static library
#   ringway_program(NAME [COLD] SOURCES main.cpp USES ...)                  an executable in bin/
#       Compiled in batches, but for the preset dev. COLD: no packet, handshake or route waits for it, and
#       its vendor headers (JSON, TOML, Asio, command lines) take long to optimise: it is optimised less.
#       ALONE: the packet path, whose sources are optimised each by itself where it is measured: what one
#       costs does not hang on its neighbours.
#       FUZZED: further sources, of a cold module, that fuzzers go through half a million times.
#   ringway_unit_test(NAME [NO_TSAN] SOURCES x_test.cpp USES ...)   a GoogleTest program, registered with CTest
#       The target unit_tests builds them all. NO_TSAN: there is nothing for ThreadSanitizer to find
#       (one thread, or threads that meet in sockets only), so its preset leaves the program out.

add_library(ringway_options INTERFACE)
target_include_directories(ringway_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(ringway_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wunused -Wformat=2 -Wimplicit-fallthrough -Werror
  -fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees overlaps in std::string's operator+ that are not there (its bug 105651). Clang says
  # which constants are unused by itself, but not in batches.
  target_compile_options(ringway_options INTERFACE -Wno-restrict -Wunused-const-variable)
endif()
if(NOT RINGWAY_SANITIZE AND CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(ringway_options INTERFACE -D_FORTIFY_SOURCE=2)
endif()
if(RINGWAY_SANITIZE)
  target_compile_definitions(ringway_options INTERFACE RINGWAY_INSTRUMENTED)
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
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND RINGWAY_SANITIZE)
  # -fsanitize=function of clang 14 cannot compile coroutines.
  target_compile_options(ringway_options INTERFACE -fno-sanitize=function)
endif()

# For what need not be fast: the compiler's time counts more.
add_library(ringway_cold_options INTERFACE)
if(RINGWAY_SANITIZE)
  target_compile_options(ringway_cold_options INTERFACE -O0)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(ringway_cold_options INTERFACE -O1)
endif()

# Headers that most sources include are parsed once: the first target of a kind precompiles them for
# all of its kind, which therefore have the same options. Not in the preset dev, which notices when one
# is lacking.
set(RINGWAY_STD_HEADERS
  <algorithm> <array> <cstdint> <cstring> <functional> <map> <memory> <optional> <set> <span> <string>
  <string_view> <utility> <variant> <vector> <tl/expected.hpp>)
set(RINGWAY_TEST_HEADERS ${RINGWAY_STD_HEADERS}
  <deque> <filesystem> <fstream> <sstream> <thread> <tuple> <gmock/gmock.h> <gtest/gtest.h>)

# Compiles a target's sources together, a few at a time: headers are parsed and templates instantiated
# once a batch. Names without linkage must differ among the sources of a target. Smaller batches save
# less; of larger ones, the last would keep one of two cores busy alone.
function(ringway_batch name)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC takes a batch for its main file, in which such a type would be harmless.
    target_compile_options(${name} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()

function(ringway_precompile name kind)
  get_property(owner GLOBAL PROPERTY RINGWAY_${kind}_HEADERS_OWNER)
  if(owner)
    target_precompile_headers(${name} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${name} PRIVATE ${ARGN})
    set_property(GLOBAL PROPERTY RINGWAY_${kind}_HEADERS_OWNER ${name})
  endif()
endfunction()

# What modules and programs have in common.
function(ringway_compile name)
  cmake_parse_arguments(ARG "COLD;ALONE" "" "SOURCES;FUZZED;USES" ${ARGN})
  set(kind MODULE)
  if(ARG_COLD)
    set(kind COLD)
    target_link_libraries(${name} PRIVATE ringway_cold_options)
  endif()
  if(RINGWAY_SANITIZE AND ARG_FUZZED)
    set_source_files_properties(${ARG_FUZZED} PROPERTIES
      COMPILE_OPTIONS -Og SKIP_PRECOMPILE_HEADERS ON)
  endif()
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    if(RINGWAY_SANITIZE OR ARG_ALONE)
      ringway_precompile(${name} ${kind} ${RINGWAY_STD_HEADERS})
    endif()
    if(RINGWAY_SANITIZE OR NOT ARG_ALONE)
      ringway_batch(${name})
    endif()
  endif()
  if(RINGWAY_FUZZ) # coverage, by which libFuzzer finds its way
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

function(ringway_module name)
  cmake_parse_arguments(ARG "COLD;ALONE" "" "SOURCES;FUZZED;USES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES} ${ARG_FUZZED})
  target_link_libraries(${name} PUBLIC ringway_options ${ARG_USES})
  ringway_compile(${name} ${ARGN})
endfunction()

function(ringway_program name)
  cmake_parse_arguments(ARG "COLD" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ringway_options ${ARG_USES})
  ringway_compile(${name} ${ARGN})
endfunction()

add_custom_target(unit_tests)

function(ringway_unit_test name)
  cmake_parse_arguments(ARG "NO_TSAN" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE
    ringway_options ringway_cold_options ${ARG_USES} GTest::gmock GTest::gtest_main)
  ringway_precompile(${name} TEST ${RINGWAY_TEST_HEADERS})
  ringway_batch(${name})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 is wrong about std::vector's growth and about tests that replace operator new; in tests
    # AddressSanitizer finds the true cases.
    target_compile_options(${name} PRIVATE -Wno-array-bounds -Wno-stringop-overflow
      -Wno-stringop-overread -Wno-mismatched-new-delete)
  endif()
  if(ARG_NO_TSAN AND RINGWAY_SANITIZE STREQUAL "thread")
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL TRUE)
    return()
  endif()
  add_dependencies(unit_tests ${name})
  add_test(NAME ${name} COMMAND ${name})
endfunction()
