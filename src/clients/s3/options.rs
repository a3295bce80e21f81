//! Where a bucket is and who we are there.

use super::super::http::HttpServer;
use crate::clients::hidden::Hidden;

/// A bucket of Amazon S3 or of what speaks its language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Options {
    /// The bucket's name.
    pub bucket: String,
    /// What all names begin with; may be empty.
    pub prefix: String,
    /// `https://HOST:PORT`; absent: Amazon's. `http://` sends what it keeps for all to read.
    pub endpoint: Option<String>,
    /// The region; absent: us-east-1, which is what most servers other than Amazon's take.
    pub region: Option<String>,
    /// Who we are.
    pub access_key: String,
    /// That we are it.
    pub secret_key: Hidden,
    /// Goes with keys that hold for a while only.
    pub session_token: Option<Hidden>,
}

impl S3Options {
    /// A bucket without anything else.
    pub fn of(bucket: &str) -> S3Options {
        S3Options {
            bucket: bucket.to_owned(),
            prefix: String::new(),
            endpoint: None,
            region: None,
            access_key: String::new(),
            secret_key: Hidden(String::new()),
            session_token: None,
        }
    }

    /// The region, given or not.
    pub fn region(&self) -> &str {
        self.region.as_deref().unwrap_or("us-east-1")
    }

    /// The server, and what paths begin with: the bucket, where it is not part of the server's name.
    ///
    /// # Errors
    /// The endpoint or the bucket's name is none.
    pub fn server(&self) -> Result<(HttpServer, String), String> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let is_name = (3..=63).contains(&self.bucket.len()) && self.bucket.chars().all(is_plain);
        if !is_name || self.bucket.starts_with(['-', '.']) {
            return Err(format!("`{}` cannot be the name of a bucket", self.bucket));
        }
        let in_path = format!("/{}", self.bucket);
        match &self.endpoint {
            Some(endpoint) => Ok((HttpServer::parse(endpoint)?, in_path)),
            None => {
                let amazon = format!("s3.{}.amazonaws.com", self.region());
                // A certificate with an asterisk holds for one level only.
                let (host, path) = if self.bucket.contains('.') {
                    (amazon, in_path)
                } else {
                    (format!("{}.{amazon}", self.bucket), String::new())
                };
                Ok((HttpServer { secure: true, host, port: 443 }, path))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_in_the_path_where_an_endpoint_is_given() {
        let amazon = S3Options { region: Some("eu-north-1".to_owned()), ..S3Options::of("plant") };
        let (server, path) = amazon.server().unwrap();
        assert_eq!(
            (server.to_string(), path.as_str()),
            ("https://plant.s3.eu-north-1.amazonaws.com".to_owned(), "")
        );
        let (server, path) = S3Options::of("plant.one").server().unwrap();
        assert_eq!((server.host.as_str(), path.as_str()), ("s3.us-east-1.amazonaws.com", "/plant.one"));
        let own = S3Options { endpoint: Some("http://127.0.0.1:9000".to_owned()), ..S3Options::of("plant") };
        assert_eq!(own.server().unwrap().1, "/plant");
        for wrong in ["", "ab", "A-Bucket", "a/b", ".hidden"] {
            assert!(S3Options::of(wrong).server().is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let options = S3Options { secret_key: Hidden("secret".to_owned()), ..S3Options::of("plant") };
        assert!(!format!("{options:?}").contains("secret\""));
    }
}
