//! The control stream between routers and signaling (protobuf, gRPC).
