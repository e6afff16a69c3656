# A room: one folder under src/, one static library weft_<name>, its tests, benchmarks and fuzzers beside its code.
#
#   weft_room(NAME ROOMS earlier rooms... LIBRARIES outside libraries...)
#
# x.cc goes into the library; x_test.cc into bin/<name>_test; x_bench.cc and x_fuzz.cc into a program each.

add_library(weft_flags INTERFACE)
target_compile_options(weft_flags INTERFACE -Wall -Wextra -Werror -Wshadow=local -Wnon-virtual-dtor -Woverloaded-virtual
  -Wno-missing-field-initializers  # designated initializers leave out what keeps its default
  -Wno-restrict)  # gcc 12 sees overlaps in std::string that are not there (its bug 105651)
target_include_directories(weft_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(weft_flags INTERFACE Threads::Threads)
if(WEFT_SANITIZE)
  target_compile_options(weft_flags INTERFACE -fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=undefined)
  target_link_options(weft_flags INTERFACE -fsanitize=${WEFT_SANITIZE})
endif()

function(weft_room name)
  cmake_parse_arguments(ROOM "" "" "ROOMS;LIBRARIES;TEST_LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(benches ${sources})
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  set(fuzzers ${sources})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_bench|_fuzz|/main)\\.cc$")

  set(rooms "")
  foreach(room IN LISTS ROOM_ROOMS)
    list(APPEND rooms weft_${room})
  endforeach()
  if(sources)
    add_library(weft_${name} STATIC ${sources})
    target_link_libraries(weft_${name} PUBLIC weft_flags ${rooms} fmt::fmt PRIVATE ${ROOM_LIBRARIES})
  else()
    add_library(weft_${name} INTERFACE)
    target_link_libraries(weft_${name} INTERFACE weft_flags ${rooms})
  endif()

  if(NOT WEFT_TESTS)
    return()
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE weft_${name} ${ROOM_LIBRARIES} ${ROOM_TEST_LIBRARIES}
      GTest::gmock GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE WEFT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    weft_discover_tests(${name}_test ${name} fast)
  endif()
  foreach(bench IN LISTS benches)
    get_filename_component(stem ${bench} NAME_WE)
    add_executable(${name}_${stem} ${bench})
    target_link_libraries(${name}_${stem} PRIVATE weft_${name} ${ROOM_LIBRARIES}
      benchmark::benchmark benchmark::benchmark_main)
  endforeach()
  foreach(fuzzer IN LISTS fuzzers)
    weft_fuzzer(${name} ${fuzzer} "${ROOM_LIBRARIES}")
  endforeach()
endfunction()

# Every GoogleTest case becomes a ctest named <prefix>.<suite>.<case> with the given label (fast or slow).
function(weft_discover_tests target prefix label)
  include(GoogleTest)
  gtest_discover_tests(${target} TEST_PREFIX ${prefix}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${label} TIMEOUT 300)
endfunction()

# x_fuzz.cc defines LLVMFuzzerTestOneInput. Built here with a small driver that runs every file of the corpus
# (src/<room>/corpus/<x>/) and a bounded number of seeded mutations of each: the ctest. tools/fuzz builds the same
# file with clang's libFuzzer for long runs.
function(weft_fuzzer room file libraries)
  get_filename_component(stem ${file} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" subject ${stem})
  add_executable(${room}_${stem} ${file} ${CMAKE_SOURCE_DIR}/tools/fuzz_driver.cc)
  target_link_libraries(${room}_${stem} PRIVATE weft_${room} ${libraries})
  add_test(NAME ${room}.fuzz.${subject}
    COMMAND ${room}_${stem} --mutations 2000 ${CMAKE_SOURCE_DIR}/src/${room}/corpus/${subject})
  set_tests_properties(${room}.fuzz.${subject} PROPERTIES LABELS fast TIMEOUT 120)
endfunction()
