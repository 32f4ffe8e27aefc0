//! The two gRPC services, as code: generated from `src/proto/*.proto` by `just proto`, and checked in like the
//! messages.

#[rustfmt::skip]
pub mod pdpb;
#[rustfmt::skip]
pub mod tikvpb;
