//! A ledger as real processes: what it refuses, what it survives, how it begins and ends.

mod bad_input;
mod bulk;
mod connections;
mod crash;
mod domains;
mod fsck;
mod http;
mod import;
mod keys;
mod ledger;
mod log_files;
mod logging;
mod operation;
mod patience;
mod pressure;
mod procedures;
mod process;
mod published;
mod reads;
mod recovery;
mod restored;
mod said;
mod syscalls;
mod tour;
mod uploads;
mod witness;
