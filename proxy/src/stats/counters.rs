//! What each worker counts, and the sums over workers that are read.

use super::{
    fault::Fault,
    number::{Counter, Histogram, HistogramStats},
};

/// Keeps what one worker writes out of the cache lines of others (CPUs fetch lines in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

/// Declares counters as one worker writes them and their sums as they are read, so that the two cannot differ.
macro_rules! counters {
    (
        $(#[$doc:meta])* $name:ident => $(#[$stats_doc:meta])* $stats:ident,
        numbers { $($(#[$ndoc:meta])* $number:ident,)* }
        histograms { $($(#[$hdoc:meta])* $histogram:ident,)* }
        tables { $($(#[$tdoc:meta])* $table:ident: $len:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[$ndoc])* pub $number: Counter,)*
            $($(#[$hdoc])* pub $histogram: Histogram,)*
            $($(#[$tdoc])* pub $table: [Counter; $len],)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($number: Counter::default(),)*
                    $($histogram: Histogram::default(),)*
                    $($table: std::array::from_fn(|_| Counter::default()),)*
                }
            }
        }

        impl $name {
            /// Adds what this worker counted to a sum.
            pub fn add_to(&self, sum: &mut $stats) {
                $(sum.$number = sum.$number.wrapping_add(self.$number.value());)*
                $(self.$histogram.add_to(&mut sum.$histogram);)*
                $(for (to, from) in sum.$table.iter_mut().zip(&self.$table) {
                    *to = to.wrapping_add(from.value());
                })*
            }
        }

        $(#[$stats_doc])*
        #[derive(Clone, Debug)]
        pub struct $stats {
            $($(#[$ndoc])* pub $number: u64,)*
            $($(#[$hdoc])* pub $histogram: HistogramStats,)*
            $($(#[$tdoc])* pub $table: [u64; $len],)*
        }

        impl Default for $stats {
            fn default() -> Self {
                Self {
                    $($number: 0,)*
                    $($histogram: HistogramStats::default(),)*
                    $($table: [0; $len],)*
                }
            }
        }
    };
}

counters! {
    /// What one worker counts of one service.
    ServiceCounters =>
    /// What was counted of one service.
    ServiceStats,
    numbers {
        /// Client connections (UDP: flows) that are open now.
        connections_open,
        /// Client connections (UDP: flows) ever.
        connections,
        /// Requests that are being served now.
        requests_open,
        /// Bytes from clients.
        bytes_in,
        /// Bytes to clients.
        bytes_out,
        /// Times that something was tried again on another backend.
        retries,
        /// Retries not made because the budget was spent.
        retries_over_budget,
        /// Datagrams from clients that were dropped.
        datagrams_dropped,
    }
    histograms {
        /// From a request's first byte to the last byte of its response; TCP, UDP: how long it lasted.
        duration,
    }
    tables {
        /// Requests by class of the answer's status: 1xx to 5xx, then those that were never answered.
        responses: 6,
        /// Errors by [`Fault::index`].
        errors: Fault::COUNT,
    }
}

counters! {
    /// What one worker counts of one backend.
    BackendCounters =>
    /// What was counted of one backend.
    BackendStats,
    numbers {
        /// Connections to it (UDP: flows) that are open now, in use or idle.
        connections_open,
        /// Connections to it (UDP: flows) ever.
        connections,
        /// Idle connections to it that are kept for the next request.
        connections_idle,
        /// Requests that went over a kept connection.
        connections_reused,
        /// Requests sent to it.
        requests,
        /// Times that it was tried because another had failed.
        retries,
        /// Bytes to it.
        bytes_out,
        /// Bytes from it.
        bytes_in,
    }
    histograms {
        /// How long connections to it took to be made.
        connect_time,
        /// From the end of a request to the first byte of the response.
        response_time,
    }
    tables {
        /// Responses by class of their status: 1xx to 5xx, then those that never came.
        responses: 6,
        /// Errors by [`Fault::index`].
        errors: Fault::COUNT,
    }
}

counters! {
    /// What one worker counts of itself.
    WorkerCounters =>
    /// What the workers counted of themselves.
    WorkerStats,
    numbers {
        /// Client connections and UDP flows open now.
        connections_open,
        /// Connections that could not be accepted (file descriptors, memory).
        accept_errors,
        /// Lines of access logs that were dropped because writing could not keep up.
        log_lines_dropped,
        /// Connections and flows cut because a drain ended.
        cut,
    }
    histograms {}
    tables {}
}
