//! What there is to know about components, functions and verbs, from their registries: what `components` and `functions`
//! print, and the pages of `docs/reference/`.
//!
//! [`catalog`] gathers the registries, [`kinds`] puts options into words, [`example`] makes fragments runnable. Two
//! writers show the same: [`text`] on a terminal, [`pages()`] as Markdown.

pub mod catalog;
pub mod configuration;
pub mod document;
pub mod example;
pub mod kinds;
mod markdown;
mod pages;
pub mod text;
pub mod verbs;

pub use pages::{Page, pages};
