//! What librdkafka tells and the crate around it does not.

use super::context::Context;
use rdkafka::bindings::{rd_kafka_get_watermark_offsets, rd_kafka_header_get_last, rd_kafka_message_headers};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;
use std::ffi::CStr;
use std::ptr;

/// The offset behind the last message of a partition, as of the last fetch; asks nobody.
pub fn known_end(client: &BaseConsumer<Context>, topic: &CStr, partition: i32) -> Option<i64> {
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client lives as long as the borrow, the topic ends with a null byte, and the call only writes to the
    // two numbers.
    let told = unsafe {
        let client = client.client().native_ptr();
        rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut low, &mut high)
    };
    (told == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
}

/// The last header of that name; None where there is none, or it is null. Unlike the crate's own reading, names that are
/// not UTF-8 do no harm.
pub fn header<'m>(message: &'m BorrowedMessage<'_>, name: &CStr) -> Option<&'m [u8]> {
    let (mut headers, mut value, mut size) = (ptr::null_mut(), ptr::null(), 0);
    // SAFETY: the message lives as long as the borrow, and with it its headers and their values; the name ends with a null
    // byte; a value that is not null has `size` bytes.
    unsafe {
        let none = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
        if rd_kafka_message_headers(message.ptr(), &mut headers) != none {
            return None;
        }
        if rd_kafka_header_get_last(headers, name.as_ptr(), &mut value, &mut size) != none || value.is_null()
        {
            return None;
        }
        Some(std::slice::from_raw_parts(value.cast::<u8>(), size))
    }
}
