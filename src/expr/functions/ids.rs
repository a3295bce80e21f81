//! Ids that are made up.

use super::bytes::push_hex;
use super::context::{Context, Outcome};
use super::spec::{Body, FunctionSpec, Group, Instance, Returns};
use crate::event::Value;
use crate::event::bytes::{Malformed, Reader, put_random, read_random};
use crate::expr::types::Type;
use crate::time::Random;

/// The functions that make ids.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[FunctionSpec::new(
    Group::Bytes,
    "uuid",
    &[],
    Returns::Is(Type::TEXT),
    Body::Made(|_| Ok(Box::new(Uuid::default()))),
)
.volatile()
.doc(
    "A random UUID (RFC 9562, version 4).",
    &[(
        "regexp_match(uuid(), '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$')",
        "true",
    )],
)];

/// `uuid()`. Each place of call draws sequences of its own, begun from the pass's randomness, so that what a row gets
/// does not depend on how rows were cut into batches. There are two: where one meets the sequence of another process,
/// the other does not at the same place.
#[derive(Default)]
struct Uuid(Option<[Random; 2]>);

impl Instance for Uuid {
    fn call(&mut self, context: &mut Context, _: &[Value]) -> Outcome {
        let env = &mut context.env.random;
        let [high, low] = self.0.get_or_insert_with(|| [(); 2].map(|()| Random::seeded(env.bits())));
        let bits = u128::from(high.bits()) << 64 | u128::from(low.bits());
        context.write_ascii(|_, out| {
            write_uuid(bits, out);
            Ok(())
        })
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(Uuid::default())
    }

    fn save(&self, into: &mut Vec<u8>) {
        let sequences = self.0.as_ref();
        (0..2).for_each(|i| put_random(into, sequences.map(|both| &both[i])));
    }

    fn load(&mut self, saved: &mut Reader<'_>) -> Result<(), Malformed> {
        let (high, low) = (read_random(saved)?, read_random(saved)?);
        self.0 = high.zip(low).map(|(high, low)| [high, low]);
        Ok(())
    }
}

/// Appends a UUID of version 4 with these bits, but for the six that say so.
fn write_uuid(bits: u128, out: &mut Vec<u8>) {
    let bits = bits & !(0xF << 76) | 4 << 76;
    let bytes = (bits & !(3 << 62) | 2 << 62).to_be_bytes();
    for (i, range) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if i > 0 {
            out.push(b'-');
        }
        push_hex(&bytes[range], out);
    }
}

#[cfg(test)]
mod tests {
    use super::write_uuid;
    use crate::expr::tests::harness::{Open, stored};
    use std::collections::BTreeSet;

    #[test]
    fn version_and_variant_are_marked() {
        let text = |bits| {
            let mut out = Vec::new();
            write_uuid(bits, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(text(0x919108f7_52d1_3320_5bac_f847db4148a8), "919108f7-52d1-4320-9bac-f847db4148a8");
    }

    #[test]
    fn ids_differ_and_repeat_with_the_seed() {
        let mut scope = Open::default();
        let mut program = scope.compile("uuid() || uuid()").unwrap();
        let events = ["{}"; 100];
        let mut again = program.clone();
        let all = stored(&mut program, &mut scope.batch(&events));
        let mut parts = stored(&mut again, &mut scope.batch(&events[..7]));
        parts.extend(stored(&mut again, &mut scope.batch(&events[7..])));
        assert_eq!(all, parts);
        let ids: BTreeSet<String> = all
            .into_iter()
            .map(Result::unwrap)
            .flat_map(|pair| [pair[1..37].to_owned(), pair[37..73].to_owned()])
            .collect();
        assert_eq!(ids.len(), 200);
    }
}
