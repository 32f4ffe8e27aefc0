//! The two gRPC services, as code: generated from `src/proto/*.proto` by `just proto`, and checked in like the
//! messages.

#[allow(clippy::too_many_lines, reason = "one function dispatches all calls, and nobody reads it")]
#[rustfmt::skip]
pub mod pdpb;
#[allow(clippy::too_many_lines, reason = "one function dispatches all calls, and nobody reads it")]
#[rustfmt::skip]
pub mod tikvpb;
