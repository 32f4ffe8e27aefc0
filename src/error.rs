//! Why something failed, sorted by who has to act on it.
//!
//! | variant | who acts | how it is told |
//! |---|---|---|
//! | [`Error::Region`] | the client's library: it asks another peer, or again | `region_error` of the response |
//! | [`Error::Rejected`] | the client's user: this request can never work | `error` of the response |
//! | [`Error::Undetermined`] | the client's user: nobody knows whether it was carried out | `error` of the response |
//! | [`Error::Engine`] | nobody outside: **the store must stop** | `error` of the response, and the log |
//!
//! A store whose disk has failed no longer knows what is on it. If it went on, it could acknowledge what is
//! not there, or vote twice in a term. Stopped it is one more crashed server, and those the others outlive.

use thiserror::Error;

use crate::engine::{EngineError, MAX_KEY_LEN, UnknownCf};
use crate::proto::errorpb;

/// Why a request failed.
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// This store or peer cannot serve the request, another one may, or this one later. Boxed, since it is
    /// much larger than everything else here.
    #[error("region error: {}", .0.message)]
    Region(Box<errorpb::Error>),

    /// The request makes no sense, on any store.
    #[error(transparent)]
    Rejected(#[from] Rejection),

    /// The request is on its way, and whoever would have told how it ended is gone: it was carried out, or it will be,
    /// or never. A client library that asked again could carry it out twice, so it must not hear a region error.
    #[error("undetermined, the request may be carried out or not: {0}")]
    Undetermined(String),

    /// The disk failed. What was to be written may be there or not.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Keys have at least one byte.
    #[error("the key is empty")]
    EmptyKey,

    /// Keys have at most [`MAX_KEY_LEN`] bytes.
    #[error("the key has {0} bytes: at most {MAX_KEY_LEN} are allowed")]
    KeyTooLong(usize),

    /// The request names a column family that there is not.
    #[error(transparent)]
    UnknownCf(#[from] UnknownCf),

    /// Values do not expire here. Storing one as if it did not matter would be a broken promise.
    #[error("a time to live is not supported")]
    Ttl,

    /// A command that no store understands.
    #[error("bad command: {0}")]
    BadCommand(&'static str),
}

/// Refuses a key that no storage takes: an empty one, or one that is too long.
pub fn check_key(key: &[u8]) -> Result<(), Rejection> {
    match key.len() {
        0 => Err(Rejection::EmptyKey),
        1..=MAX_KEY_LEN => Ok(()),
        len => Err(Rejection::KeyTooLong(len)),
    }
}

impl Error {
    /// True where the store must not go on after this error.
    pub fn stops_store(&self) -> bool {
        match self {
            Error::Region(_) | Error::Rejected(_) | Error::Undetermined(_) => false,
            Error::Engine(_) => true,
        }
    }

    /// The fields `region_error` and `error` of a response. Exactly one of them is set.
    pub fn into_response(self) -> (Option<errorpb::Error>, String) {
        match self {
            Error::Region(error) => (Some(*error), String::new()),
            other => (None, other.to_string()),
        }
    }
}

impl From<errorpb::Error> for Error {
    fn from(error: errorpb::Error) -> Error {
        Error::Region(Box::new(error))
    }
}

impl From<UnknownCf> for Error {
    fn from(error: UnknownCf) -> Error {
        Error::Rejected(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_disk_stops_the_store() {
        assert!(Error::from(EngineError::Crashed).stops_store());
        assert!(!Error::from(Rejection::EmptyKey).stops_store());
        assert!(!Error::from(errorpb::Error::default()).stops_store());
        assert!(!Error::Undetermined(String::new()).stops_store());
    }

    #[test]
    fn a_response_has_one_of_the_two_errors() {
        let region = errorpb::Error { message: "not here".into(), ..Default::default() };
        assert_eq!(Error::from(region.clone()).into_response(), (Some(region), String::new()));
        assert_eq!(Error::from(Rejection::EmptyKey).into_response(), (None, "the key is empty".into()));
    }
}
