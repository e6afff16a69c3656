# weft_proto: the C++ that protoc makes of proto/weft.proto, in a library of its own so that our warning flags do not
# meet code we did not write. Included as "proto/weft.pb.h" and "proto/weft.grpc.pb.h"; linked by the net room alone.
set(WEFT_PROTO_FILE ${CMAKE_SOURCE_DIR}/proto/weft.proto)
set(WEFT_PROTO_OUT ${CMAKE_BINARY_DIR}/generated)
set(WEFT_PROTO_SOURCES ${WEFT_PROTO_OUT}/proto/weft.pb.cc ${WEFT_PROTO_OUT}/proto/weft.grpc.pb.cc)
file(MAKE_DIRECTORY ${WEFT_PROTO_OUT})

add_custom_command(
  OUTPUT ${WEFT_PROTO_SOURCES} ${WEFT_PROTO_OUT}/proto/weft.pb.h ${WEFT_PROTO_OUT}/proto/weft.grpc.pb.h
  COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR} --cpp_out=${WEFT_PROTO_OUT} --grpc_out=${WEFT_PROTO_OUT}
    --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN} ${WEFT_PROTO_FILE}
  DEPENDS ${WEFT_PROTO_FILE}
  COMMENT "Generating the wire from proto/weft.proto"
  VERBATIM)

add_library(weft_proto STATIC ${WEFT_PROTO_SOURCES})
target_include_directories(weft_proto SYSTEM PUBLIC ${WEFT_PROTO_OUT})
target_link_libraries(weft_proto PUBLIC gRPC::grpc++ protobuf::libprotobuf Threads::Threads)
if(WEFT_SANITIZE)
  target_compile_options(weft_proto PRIVATE -fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer)
endif()
