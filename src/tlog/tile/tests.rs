use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::tlog::hash::leaf_hash;

fn tile(level: u8, index: u64, width: u16) -> Tile {
    Tile {
        level,
        index,
        width,
    }
}

#[test]
fn paths_are_those_of_the_specification() {
    assert_eq!(tile(0, 1_234_067, 256).path(), "tile/0/x001/x234/067");
    assert_eq!(tile(1, 0, 8).path(), "tile/1/000.p/8");
    let bundle = EntryTile {
        index: 1_234_067,
        width: 1,
    };
    assert_eq!(bundle.path(), "tile/entries/x001/x234/067.p/1");
    for bad in [
        "tile/0/67",
        "tile/0/0067",
        "tile/0/001/067",
        "tile/0/x001/x067",
        "tile/0/x000/067",
        "tile/8/000",
        "tile/00/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/",
        "tile/-1/000",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/x001/06a",
        "tile/entries/000",
        "tile/0/000.p/8.p/8",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(Tile::parse(bad), Err(TileError::Path), "{bad}");
    }
    assert_eq!(EntryTile::parse("tile/0/000"), Err(TileError::Path));
}

#[test]
fn a_log_of_70000_has_the_tiles_of_the_specification() {
    let all: Vec<Tile> = tiles(TreeSize::new(70_000)).collect();
    let of = |level| {
        all.iter()
            .filter(move |t| t.level == level)
            .map(|t| t.width)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(0), [vec![256; 273], vec![112]].concat());
    assert_eq!(of(1), [256, 17]);
    assert_eq!(of(2), [1]);
    assert_eq!(all.len(), 274 + 2 + 1);
    let small: Vec<Tile> = tiles(TreeSize::new(256)).collect();
    assert_eq!(small, [tile(0, 0, 256), tile(1, 0, 1)]);
    assert_eq!(tiles(TreeSize::new(0)).count(), 0);
}

#[test]
fn bundles_are_read_strictly() {
    let entries = vec![b"a".to_vec(), Vec::new(), vec![7; 65_535]];
    let bytes = encode_entries(&entries);
    assert_eq!(decode_entries(&bytes, 3), Ok(entries));
    assert_eq!(decode_entries(&bytes, 2), Err(TileError::Content));
    assert_eq!(decode_entries(&bytes, 4), Err(TileError::Content));
    assert_eq!(
        decode_entries(&bytes[..bytes.len() - 1], 3),
        Err(TileError::Content)
    );
    assert_eq!(
        decode_entries(&[bytes, vec![0]].concat(), 3),
        Err(TileError::Content)
    );
    assert_eq!(decode_hashes(&[0; 64], 2).map(|hashes| hashes.len()), Ok(2));
    assert_eq!(decode_hashes(&[0; 65], 2), Err(TileError::Content));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn paths_read_back(level in 0u8..8, index in 0u64..=i64::MAX as u64 / 256, width in 1u16..=256) {
        let tile = tile(level, index, width);
        prop_assert_eq!(Tile::parse(&tile.path()), Ok(tile));
        let bundle = EntryTile { index, width };
        prop_assert_eq!(EntryTile::parse(&bundle.path()), Ok(bundle));
    }

    #[test]
    fn a_path_that_is_read_is_the_one_that_is_written(path in "tile/(entries|[0-9])/(x?[0-9]{3}/?){0,3}(\\.p/[0-9]{0,3})?") {
        if let Ok(tile) = Tile::parse(&path) {
            prop_assert_eq!(tile.path(), path.clone());
        }
        if let Ok(bundle) = EntryTile::parse(&path) {
            prop_assert_eq!(bundle.path(), path);
        }
    }

    #[test]
    fn new_tiles_are_those_of_another_program(old in 0u64..200_000, more in 0u64..3_000) {
        let new = old + more;
        // It lists the tiles below the top of its tree, by level; ours are those of all levels.
        let mut theirs: Vec<String> = tlog_tiles::Tile::new_tiles(8, old, new)
            .iter().map(|t| (t.level(), t.level_index(), t.width()))
            .map(|(level, index, width)| Tile { level, index, width: width as u16 }.path())
            .collect();
        let mut ours: Vec<String> =
            new_tiles(TreeSize::new(old), TreeSize::new(new)).map(|t| t.path()).collect();
        theirs.sort();
        ours.sort();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), width in 0u16..300) {
        let _ = decode_entries(&bytes, width);
        let _ = decode_hashes(&bytes, width);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_of_any_size_write_the_same_tiles(batches in prop::collection::vec(0u64..700, 1..5)) {
        let hash = |n: u64| leaf_hash(&n.to_be_bytes());
        let mut edge = RightEdge::new();
        let mut written: BTreeMap<Tile, Vec<u8>> = BTreeMap::new();
        let mut size = 0;
        for batch in batches {
            let old = size;
            for n in old..old + batch {
                edge.append(hash(n));
            }
            size += batch;
            let new = edge.take_new_tiles();
            let mut named: Vec<Tile> = new.iter().map(|(tile, _)| *tile).collect();
            named.sort();
            let mut expected: Vec<Tile> = new_tiles(TreeSize::new(old), TreeSize::new(size)).collect();
            expected.sort();
            prop_assert_eq!(named, expected);
            written.extend(new);
            // Begun anew from the tiles, the edge goes on as if nothing had happened.
            let again = RightEdge::from_tiles(TreeSize::new(size), &Written(&written)).unwrap();
            prop_assert_eq!(again.root(), edge.root());
            edge = again;
        }
        // Each hash of the lowest level is that of its leaf.
        for (tile, bytes) in written.iter().filter(|(tile, _)| tile.level == 0) {
            for (n, found) in (tile.index * 256..).zip(decode_hashes(bytes, tile.width).unwrap()) {
                prop_assert_eq!(found, hash(n));
            }
        }
    }
}

struct Written<'a>(&'a BTreeMap<Tile, Vec<u8>>);

impl HashTiles for Written<'_> {
    type Error = TileError;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, TileError> {
        decode_hashes(self.0.get(&tile).ok_or(TileError::Path)?, tile.width)
    }
}
