//! Hashes and checksums of bytes, and of text by its UTF-8.

use super::bytes::{DATA, push_hex};
use super::context::{Context, Outcome};
use super::spec::{Arg, Body, FunctionSpec, Group, Returns, arg};
use crate::event::Value;
use crate::expr::types::Type;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use xxhash_rust::xxh64::xxh64;

const S: &[Arg] = &[arg("s", DATA)];

const fn new(
    name: &'static str,
    args: &'static [Arg],
    ty: Type,
    body: fn(&mut Context, &[Value]) -> Outcome,
) -> FunctionSpec {
    FunctionSpec::new(Group::Bytes, name, args, Returns::Is(ty), Body::Plain(body))
}

/// The hashes.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    new("md5", S, Type::TEXT, digest::<Md5>).doc(
        "The MD5 hash of bytes or text, in lower-case hexadecimal; not against forgery.",
        &[("md5('abc')", "\"900150983cd24fb0d6963f7d28e17f72\"")],
    ),
    new("sha1", S, Type::TEXT, digest::<Sha1>).doc(
        "The SHA-1 hash of bytes or text, in lower-case hexadecimal; not against forgery.",
        &[("sha1('abc')", "\"a9993e364706816aba3e25717850c26c9cd0d89d\"")],
    ),
    new("sha256", S, Type::TEXT, digest::<Sha256>).doc(
        "The SHA-256 hash of bytes or text, in lower-case hexadecimal.",
        &[("sha256('abc')", "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"")],
    ),
    new("sha512", S, Type::TEXT, digest::<Sha512>).doc(
        "The SHA-512 hash of bytes or text, in lower-case hexadecimal.",
        &[("left(sha512('abc'), 32)", "\"ddaf35a193617abacc417349ae204131\"")],
    ),
    new("crc32", S, Type::INT, |cx, args| Ok(Value::int(crc32fast::hash(cx.batch.bytes(args[0])).into())))
        .doc(
            "The CRC-32 checksum of bytes or text (that of Ethernet, gzip and zip), an integer.",
            &[("crc32('123456789')", "3421780262")],
        ),
    new("xxhash64", S, Type::INT, |cx, args| Ok(Value::int(xxh64(cx.batch.bytes(args[0]), 0) as i64))).doc(
        "The 64-bit xxHash of bytes or text, with seed 0; an integer with sign, quick, to spread keys.",
        &[("xxhash64('abc')", "4952883123889572249")],
    ),
    new("hmac_sha256", &[arg("key", DATA), arg("s", DATA)], Type::TEXT, hmac_sha256).doc(
        "The HMAC (RFC 2104) with SHA-256 of bytes or text under a secret key, in lower-case hexadecimal.",
        &[(
            "hmac_sha256('Jefe', 'what do ya want for nothing?')",
            "\"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\"",
        )],
    ),
];

fn digest<D: Digest>(context: &mut Context, args: &[Value]) -> Outcome {
    context.write_ascii(|batch, out| {
        push_hex(&D::digest(batch.bytes(args[0])), out);
        Ok(())
    })
}

fn hmac_sha256(context: &mut Context, args: &[Value]) -> Outcome {
    context.write_ascii(|batch, out| {
        let mac = Hmac::<Sha256>::new_from_slice(batch.bytes(args[0]));
        let mac = mac.map_err(|error| error.to_string())?.chain_update(batch.bytes(args[1]));
        push_hex(&mac.finalize().into_bytes(), out);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use crate::expr::tests::harness::outcome;

    fn check(vectors: &[(&str, &str)]) {
        for (text, expected) in vectors {
            assert_eq!(outcome(text, "{}"), format!("= \"{expected}\""), "{text}");
        }
    }

    #[test]
    fn hashes_hold_to_their_vectors() {
        check(&[
            // RFC 1321, A.5.
            ("md5('')", "d41d8cd98f00b204e9800998ecf8427e"),
            ("md5('message digest')", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("md5(to_utf8('message digest'))", "f96b697d7cb7938d525a2f31aaf161d0"),
            // FIPS 180-4, the examples of NIST.
            ("sha1('')", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            (
                "sha1('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')",
                "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
            ),
            ("sha256('')", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (
                "sha256('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
            (
                "sha512('abc')",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ]);
    }

    #[test]
    fn message_codes_hold_to_their_vectors() {
        // RFC 4231: test cases 1 and 6, whose key is longer than a block.
        check(&[
            (
                "hmac_sha256(from_hex(repeat('0b', 20)), 'Hi There')",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                "hmac_sha256(from_hex(repeat('aa', 131)), 'Test Using Larger Than Block-Size Key - Hash Key First')",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ]);
    }

    #[test]
    fn checksums_hold_to_their_vectors() {
        assert_eq!(outcome("crc32('')", "{}"), "= 0");
        assert_eq!(outcome("crc32(from_hex('ffffffff'))", "{}"), "= 4294967295");
        assert_eq!(outcome("format('%x', xxhash64(''))", "{}"), "= \"ef46db3751d8e999\"");
    }
}
