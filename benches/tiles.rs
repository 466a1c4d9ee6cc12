//! Reads of tiles over HTTP, beside nginx with the same files, load generator on the same cores.
//!
//! `cargo bench --bench tiles [-- --tiles N --bundles N --reads N --rounds N]`. By default there are
//! as many hash tiles as ten million entries have, all read equally often, so that most are in no
//! memory of the server but the page cache, nor held open by nginx; then a few that fit into it; then entry bundles. The two
//! servers take turns, many short ones, and what counts is the median of the rounds' ratios. nginx reads as it does
//! where it cannot pass files on in the kernel (`sendfile off`), which TLS or compression rule out.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use support::load::{closed_loop, get};
use support::server::{Nginx, Server, cpu};
use support::workload::Workload;
use support::{option, per_second, percent, row};
use whosaw::tlog::tile::{EntryTile, FULL, Tile};

const CONNECTIONS: usize = 64;
/// Tiles that are read again and again by whoever follows a log.
const POPULAR: u64 = 1000;
/// About the bytes of a full bundle: 256 statements.
const BUNDLE: usize = 256 * 1100;

fn main() {
    let (tiles, bundles) = (option("tiles", 39_062), option("bundles", 500));
    let (reads, rounds) = (option("reads", 10_000), option("rounds", 25));
    let folder = support::folder();
    let operator = folder.path().join("operator");
    Workload::new(&operator);
    let log = operator.join("log");
    for tile in 0..tiles {
        write(&log.join(tile_path(tile)), &[b'x'; 32 * FULL as usize]);
    }
    for bundle in 0..bundles {
        write(&log.join(bundle_path(bundle)), &vec![b'x'; BUNDLE]);
    }
    let server = Server::log(&operator, &["--unwitnessed"]);
    let Some(nginx) = Nginx::start(folder.path(), &log) else {
        println!("nginx is not installed: there is nothing to compare with");
        return;
    };
    let both = Both {
        server,
        nginx,
        rounds,
    };
    let tile = |number| get(&format!("/log/{}", tile_path(number)));
    let bundle = |number| get(&format!("/log/{}", bundle_path(number)));
    let popular = POPULAR.min(tiles);
    both.compare(&format!("{tiles} tiles"), reads, tiles, tile);
    both.compare(&format!("{popular} tiles"), reads, popular, tile);
    both.compare(
        &format!("{bundles} entry bundles"),
        reads / 20,
        bundles,
        bundle,
    );
    println!("the server's memory: {} MiB", both.server.memory() >> 20);
    both.server.stop();
}

struct Both {
    server: Server,
    nginx: Nginx,
    rounds: usize,
}

impl Both {
    /// Sends both the same requests for files below `files`, other ones in each round.
    fn compare(&self, what: &str, reads: usize, files: u64, request: impl Fn(u64) -> Vec<u8>) {
        let mut requests = support::random(1, files).map(request);
        let mut round = |reads: usize, ours_first: bool| {
            let requests = Arc::new(requests.by_ref().take(reads).collect::<Vec<_>>());
            let ask = |authority: &str| closed_loop(authority, &requests, CONNECTIONS).rate;
            if ours_first {
                (ask(&self.server.authority), ask(&self.nginx.authority))
            } else {
                let theirs = ask(&self.nginx.authority);
                (ask(&self.server.authority), theirs)
            }
        };
        // For the caches of both.
        round(2 * files as usize, true);
        let before = (self.server.cpu(), self.nginx.cpu(), cpu("self"));
        let mut rates: Vec<(f64, f64)> = (0..self.rounds)
            .map(|number| round(reads, number % 2 == 0))
            .collect();
        rates.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (ours, theirs) = rates[rates.len() / 2];
        let each = |time: Duration| support::microseconds(time, reads * self.rounds);
        row(&format!("{what}: this server"), per_second(ours), "");
        row("  nginx", per_second(theirs), "");
        row("  ratio", percent(ours / theirs), ">= 90 %");
        let quartile =
            |of: usize| percent(rates[rates.len() * of / 4].0 / rates[rates.len() * of / 4].1);
        row(
            "  half of the rounds between",
            format!("{} and {}", quartile(1), quartile(3)),
            "",
        );
        row(
            "  processor time a read, this server",
            each(self.server.cpu() - before.0),
            "",
        );
        row("  nginx", each(self.nginx.cpu() - before.1), "");
        // It serves both.
        row("  load generator", each((cpu("self") - before.2) / 2), "");
    }
}

fn tile_path(index: u64) -> String {
    let (level, width) = (0, FULL);
    Tile {
        level,
        index,
        width,
    }
    .path()
}

fn bundle_path(index: u64) -> String {
    EntryTile { index, width: FULL }.path()
}

fn write(path: &Path, bytes: &[u8]) {
    // Those of the real log stay.
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, bytes).expect("room for files");
}
