//! AWS Signature Version 4, as S3 wants it: the path is encoded once, the payload's hash is a header.

use super::options::S3Options;
use crate::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What is signed of a request.
pub struct Signing<'s> {
    /// Method.
    pub method: &'s str,
    /// The path, encoded by [`crate::event::percent_encode`].
    pub path: &'s str,
    /// The query in the order of names, encoded likewise.
    pub query: &'s str,
    /// The header `Host`.
    pub host: &'s str,
    /// The body.
    pub body: &'s [u8],
    /// The time of day: a server refuses one that is off by more than a quarter of an hour.
    pub time: Timestamp,
}

impl Signing<'_> {
    /// The headers that a request needs beside `Host`.
    pub fn headers(&self, options: &S3Options) -> Vec<(&'static str, String)> {
        let time = jiff::Timestamp::from_millisecond(self.time.0).unwrap_or_default();
        let stamp = time.strftime("%Y%m%dT%H%M%SZ").to_string();
        // The date, as digits.
        let date = &stamp[..8];
        let hash = hex(&Sha256::digest(self.body));
        let mut headers = vec![("x-amz-content-sha256", hash.clone()), ("x-amz-date", stamp.clone())];
        if let Some(token) = &options.session_token {
            headers.push(("x-amz-security-token", token.0.clone()));
        }
        let mut canonical = format!("{}\n{}\n{}\nhost:{}\n", self.method, self.path, self.query, self.host);
        let mut names = "host".to_owned();
        for (name, value) in &headers {
            // Writing to a text does not fail.
            let _ = writeln!(canonical, "{name}:{value}");
            let _ = write!(names, ";{name}");
        }
        let _ = write!(canonical, "\n{names}\n{hash}");
        let scope = format!("{date}/{}/s3/aws4_request", options.region());
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let secret = format!("AWS4{}", options.secret_key.0);
        let steps = [date, options.region(), "s3", "aws4_request", &text];
        let signature = steps.iter().fold(secret.into_bytes(), |key, step| keyed(&key, step.as_bytes()));
        let access = &options.access_key;
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential={access}/{scope},SignedHeaders={names},Signature={}",
            hex(&signature)
        );
        headers.push(("authorization", signed));
        headers
    }
}

fn keyed(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::hidden::Hidden;

    /// The example of listing objects in the documentation of Signature Version 4 for S3.
    #[test]
    fn the_documented_example_is_signed_as_documented() {
        let options = S3Options {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: Hidden("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            ..S3Options::of("examplebucket")
        };
        let signing = Signing {
            method: "GET",
            path: "/",
            query: "max-keys=2&prefix=J",
            host: "examplebucket.s3.amazonaws.com",
            body: b"",
            time: Timestamp(1_369_353_600_000),
        };
        let headers = signing.headers(&options);
        let (name, value) = &headers[2];
        assert_eq!(*name, "authorization");
        let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        assert!(value.ends_with(signature), "{value}");
    }
}
