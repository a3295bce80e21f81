//! How the process ends.

use std::process::ExitCode;

/// What each exit status means.
pub const STATUSES: [(u8, &str); 4] = [
    (0, "Done. Warnings and rejected events do not change it."),
    (1, "Something failed while running, or a test failed."),
    (2, "Wrong usage."),
    (
        78,
        "The configuration is wrong, a pipeline's file cannot be read, or another gateway has the same `instance`.",
    ),
];

/// Anything but success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Failed while running, or a test failed (1); what is to be said was said.
    Failed,
    /// Wrong usage (2): what to print.
    Usage(String),
    /// The configuration is wrong (78, EX_CONFIG, so that a service manager does not restart in a loop); said already.
    Config,
    /// The same: what to print.
    ConfigSaid(String),
    /// Failed while running (1): what to print.
    FailedSaid(String),
}

impl Exit {
    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Exit {
        Exit::Usage(message.into())
    }

    /// A wrong configuration that no file shows.
    pub fn config(message: impl Into<String>) -> Exit {
        Exit::ConfigSaid(message.into())
    }

    /// A failure while running.
    pub fn failed(message: impl Into<String>) -> Exit {
        Exit::FailedSaid(message.into())
    }

    /// What is still to be printed.
    pub fn message(&self) -> Option<&str> {
        match self {
            Exit::Usage(message) | Exit::ConfigSaid(message) | Exit::FailedSaid(message) => Some(message),
            Exit::Failed | Exit::Config => None,
        }
    }

    /// The exit status.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Failed | Exit::FailedSaid(_) => 1,
            Exit::Usage(_) => 2,
            Exit::Config | Exit::ConfigSaid(_) => 78,
        })
    }
}
