//! proto3 JSON as protobuf-go reads and writes it, for pbjson's generated code
