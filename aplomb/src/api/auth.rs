//! Who may use a listener of the admin API.

use axum::http::{HeaderMap, header};
use control::spec::Secret;
use subtle::ConstantTimeEq;

use super::model::Problem;

/// What a client must show on a listener.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// Nothing more: the unix socket's permissions or the client's certificate have decided already.
    Granted,
    /// `Authorization: Bearer TOKEN`.
    Token(Secret),
}

impl Access {
    /// Whether a request with these headers may go on.
    ///
    /// # Errors
    /// 401, which does not say what was wrong with the token.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Self::Token(token) = self else {
            return Ok(());
        };
        let shown = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
            .unwrap_or_default();
        // In constant time for tokens of the same length; the length itself is no secret.
        if bool::from(shown.ct_eq(token.reveal().as_bytes())) {
            return Ok(());
        }
        Err(Problem::new(
            401,
            "unauthorized",
            "this needs the token that [admin] names, as `Authorization: Bearer TOKEN`",
        ))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let access = Access::Token(Secret::new("s3cret"));
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            let _ = headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            access.check(&headers).map_err(|p| p.status)
        };
        assert_eq!(with("Bearer s3cret"), Ok(()));
        for wrong in [
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer ",
            "Basic s3cret",
            "s3cret",
            "bearer s3cret",
        ] {
            assert_eq!(with(wrong), Err(401), "{wrong}");
        }
        assert!(access.check(&HeaderMap::new()).is_err());
        assert!(Access::Granted.check(&HeaderMap::new()).is_ok());
    }
}
