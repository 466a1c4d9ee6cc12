use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tempfile::TempDir;

use super::*;
use crate::store::files::{Access, LOOKS};
use crate::store::space::Space;
use crate::time::Time;

const VAULT: VaultId = VaultId::from_bytes([1; 16]);
const QUOTA: u64 = 100_000;
const DAY: Duration = Duration::from_secs(86_400);

struct World {
    folder: TempDir,
    clips: Clips,
    vaults: Arc<Vaults>,
}

impl World {
    /// A vault with room for [`QUOTA`] bytes.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vaults = Vaults::open(&folder.path().join("vaults.db")).unwrap();
        let (code, now) = (Digest::of("code"), Time::from_unix(1_700_000_000).unwrap());
        let expires = now.plus_seconds(1);
        vaults.add_code(code, QUOTA, 1000, expires).unwrap();
        vaults.enrol(code, [7; 32], VAULT, now).unwrap();
        let vaults = Arc::new(vaults);
        Self {
            clips: open(&folder, &vaults),
            vaults,
            folder,
        }
    }

    /// The same folders after a restart.
    fn reopen(&mut self) {
        self.clips = open(&self.folder, &self.vaults);
    }

    fn put(&self, clip: u8, part: Part, bytes: &[u8]) -> Result<(), VaultError> {
        let mut arriving = self.clips.reserve(place(clip, part), bytes.len() as u64)?;
        arriving.write_all(bytes).unwrap();
        arriving.commit()
    }

    fn put_all(&self, clip: u8) {
        for part in Part::ALL {
            self.put(clip, part, part.name().as_bytes()).unwrap();
        }
    }

    fn complete(&self, clip: u8) -> Result<(), VaultError> {
        let commitments: [[u8; 32]; 8] =
            std::array::from_fn(|n| [[clip; 16], [n as u8; 16]].concat().try_into().unwrap());
        self.clips.complete(VAULT, id(clip), &commitments)
    }

    /// What the quota leaves.
    fn left(&self) -> u64 {
        match self.clips.reserve(place(99, Part::Body), QUOTA + 1) {
            Err(VaultError::QuotaBytes { left, .. }) => left,
            _ => panic!("more than the quota is never let in"),
        }
    }

    /// Makes a part as old as if it had been stored so long ago.
    fn age(&self, clip: u8, part: Part, age: Duration) {
        let file = self.clips.file(&place(clip, part)).unwrap().unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    /// Bytes in a folder and in those beneath it.
    fn on_disk(&self, name: &str) -> u64 {
        fn size(path: &std::path::Path) -> u64 {
            match std::fs::read_dir(path) {
                Ok(entries) => entries.map(|entry| size(&entry.unwrap().path())).sum(),
                Err(_) => path.metadata().map_or(0, |found| found.len()),
            }
        }
        size(&self.folder.path().join(name))
    }
}

fn open(folder: &TempDir, vaults: &Arc<Vaults>) -> Clips {
    open_on(folder, vaults, Volume::of(folder.path(), 0))
}

fn open_on(folder: &TempDir, vaults: &Arc<Vaults>, volume: Volume) -> Clips {
    let path = |name| folder.path().join(name);
    let files = Files::open(&path("clips"), &path("staging"), Access::Private).unwrap();
    Clips::new(files, vaults.clone(), volume)
}

fn id(clip: u8) -> ClipId {
    ClipId::from_bytes([clip; 16])
}

fn place(clip: u8, part: Part) -> Place {
    Place {
        vault: VAULT,
        clip: id(clip),
        part,
    }
}

#[test]
fn what_arrives_at_once_keeps_to_the_quota() {
    let world = World::new();
    let (stored, most) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for clip in 0..12 {
            let (world, stored, most) = (&world, &stored, &most);
            scope.spawn(move || {
                let reserved = world.clips.reserve(place(clip, Part::Body), 30_000);
                let Ok(mut arriving) = reserved else { return };
                for _ in 0..30 {
                    arriving.write_all(&[clip; 1000]).unwrap();
                    let disk = world.on_disk("staging") + world.on_disk("clips");
                    most.fetch_max(disk, Ordering::Relaxed);
                }
                if arriving.commit().is_ok() {
                    stored.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let stored = stored.into_inner();
    assert!((1..=3).contains(&stored), "{stored}");
    assert_eq!(world.on_disk("clips"), stored * 30_000);
    assert!(most.into_inner() <= QUOTA);
    assert_eq!(world.left(), QUOTA - stored * 30_000);
}

#[test]
fn room_is_freed_by_what_fails_and_taken_once() {
    let mut world = World::new();
    let arriving = world.clips.reserve(place(1, Part::Body), 60_000).unwrap();
    assert_eq!(world.left(), 40_000);
    drop(arriving);
    assert_eq!(world.left(), QUOTA);
    assert_eq!(world.on_disk("staging"), 0);

    world.put_all(1);
    let waiting: u64 = Part::ALL.iter().map(|p| p.name().len() as u64).sum();
    assert_eq!(world.left(), QUOTA - waiting);
    // The same part on its way twice, and other bytes in its place.
    world.put(1, Part::Body, b"body").unwrap();
    assert!(world.put(1, Part::Body, b"Body").is_err());
    assert_eq!(world.left(), QUOTA - waiting);
    world.complete(1).unwrap();
    assert_eq!(world.left(), QUOTA - waiting);
    world.put(1, Part::Header, b"header").unwrap();
    assert_eq!(world.left(), QUOTA - waiting, "its clip is complete");
    world.put_all(2);
    world.reopen();
    assert_eq!(world.left(), QUOTA - 2 * waiting);
    for clip in [1, 2] {
        world.clips.remove(VAULT, id(clip)).unwrap();
    }
    assert_eq!(world.left(), QUOTA);
    assert_eq!(world.on_disk("clips"), 0);
    let nobody = Place {
        vault: VaultId::from_bytes([9; 16]),
        ..place(1, Part::Body)
    };
    let refused = world.clips.reserve(nobody, 1);
    assert!(matches!(refused, Err(VaultError::UnknownVault)));
}

#[test]
fn empty_parts_are_bounded_too() {
    let world = World::new();
    for clip in 0..64 {
        for part in Part::ALL {
            world.put(clip, part, b"").unwrap();
        }
    }
    let one_more = world.put(64, Part::Body, b"");
    assert!(matches!(one_more, Err(VaultError::Waiting { most: 192 })));
    world.complete(5).unwrap();
    world.put(64, Part::Body, b"").unwrap();
}

#[test]
fn old_parts_are_removed_if_nobody_counts_on_them() {
    let world = World::new();
    for clip in [1, 2, 3] {
        world.put_all(clip);
    }
    world.complete(1).unwrap();
    for clip in [1, 2, 3] {
        for part in Part::ALL {
            world.age(clip, part, DAY + Duration::from_secs(60));
        }
    }
    // An upload that goes on after more than a day: what is there is told to be there.
    for part in Part::ALL {
        assert!(world.clips.known(&place(2, part)).unwrap().is_some());
    }
    world.clips.sweep().unwrap();
    world.complete(2).unwrap();
    let there = |clip| {
        let found = Part::ALL.map(|part| world.clips.file(&place(clip, part)).unwrap());
        found.iter().flatten().count()
    };
    assert_eq!((there(1), there(2), there(3)), (3, 3, 0));
    assert!(matches!(
        world.complete(3),
        Err(VaultError::MissingPart("header"))
    ));
    let used = world.vaults.vault(VAULT).unwrap().unwrap().used_bytes;
    assert_eq!(world.left(), QUOTA - used);
}

/// Whatever comes between, a clip that is said to be complete has its parts.
#[test]
fn what_is_acknowledged_is_there() {
    let world = World::new();
    let large = vec![1; 60_000];
    for _ in 0..40 {
        for part in Part::ALL {
            let bytes = match part {
                Part::Body => &large[..],
                _ => part.name().as_bytes(),
            };
            world.put(1, part, bytes).unwrap();
            world.age(1, part, DAY + Duration::from_secs(60));
        }
        let completed = std::thread::scope(|scope| {
            let sweep = scope.spawn(|| world.clips.sweep().unwrap());
            let completed = world.complete(1);
            sweep.join().unwrap();
            completed
        });
        let listed = world.vaults.clip(VAULT, id(1)).unwrap();
        assert_eq!(completed.is_ok(), listed.is_some());
        for part in Part::ALL {
            let there = world.clips.file(&place(1, part)).unwrap().is_some();
            assert!(there || listed.is_none(), "{part:?} is gone");
        }
        world.clips.remove(VAULT, id(1)).unwrap();
        assert_eq!(world.left(), QUOTA);
    }
}

/// A part that is exchanged while its clip is completed is not the one that was hashed.
#[test]
fn a_part_is_the_file_that_was_read() {
    let world = World::new();
    world.put_all(1);
    let file = world.clips.known(&place(1, Part::Body)).unwrap().unwrap();
    let found = file.metadata().unwrap();
    assert!(world.clips.is_there(&place(1, Part::Body), &found).unwrap());
    world.clips.remove(VAULT, id(1)).unwrap();
    assert!(!world.clips.is_there(&place(1, Part::Body), &found).unwrap());
    world.put(1, Part::Body, b"BODY").unwrap();
    assert!(!world.clips.is_there(&place(1, Part::Body), &found).unwrap());
}

/// An upload that nobody goes on with for a day is given up, and its room is free; one whose file is lost begins anew.
#[test]
fn an_upload_is_given_up_after_a_day() {
    let mut world = World::new();
    let body = place(1, Part::Body);
    let arrive = |world: &World| {
        world.clips.begin_upload(body, 90_000).unwrap();
        let mut piece = world.clips.resume(body, 0, 10).unwrap();
        let busy = world.clips.resume(body, 0, 10).err();
        assert!(matches!(busy, Some(VaultError::UploadBusy)), "{busy:?}");
        piece.write_all(&[7; 10]).unwrap();
        assert_eq!(piece.keep(10).unwrap().arrived, 10);
    };
    arrive(&world);
    world.reopen();
    world.clips.sweep().unwrap();
    assert_eq!(world.left(), QUOTA - 90_000);
    let arrived = |world: &World| {
        let found = world.clips.upload(&body).unwrap();
        found.map(|(upload, _)| upload.arrived)
    };
    assert_eq!(arrived(&world), Some(10));
    let file = |world: &World| {
        let staging = std::fs::read_dir(world.folder.path().join("staging")).unwrap();
        let mut paths = staging.map(|entry| entry.unwrap().path());
        paths.next().expect("it grows there")
    };
    let old = SystemTime::now() - DAY - Duration::from_secs(1);
    File::open(file(&world)).unwrap().set_modified(old).unwrap();
    world.clips.sweep().unwrap();
    assert_eq!((arrived(&world), world.left()), (None, QUOTA));
    assert_eq!(world.on_disk("staging"), 0);

    arrive(&world);
    std::fs::remove_file(file(&world)).unwrap();
    assert_eq!(world.clips.begin_upload(body, 90_000).unwrap().arrived, 0);
    let gone = world.clips.resume(body, 10, 10).err();
    assert!(
        matches!(gone, Some(VaultError::UploadOffset { arrived: 0 })),
        "{gone:?}"
    );
    // What a piece that broke off left behind is not part of the next.
    let mut piece = world.clips.resume(body, 0, 90_000).unwrap();
    piece.write_all(&[1; 20_000]).unwrap();
    drop(piece);
    let mut piece = world.clips.resume(body, 0, 90_000).unwrap();
    piece.write_all(&[2; 90_000]).unwrap();
    assert_eq!(piece.keep(90_000).unwrap().arrived, 90_000);
    let path = world.folder.path().join("clips").join(body.waiting());
    assert!(std::fs::read(path).unwrap() == [2; 90_000]);
    assert_eq!(world.on_disk("staging"), 0);
}

/// Within their quota residents fill no disk: what arrives at once leaves the reserve together, and
/// what was let in is stored.
#[test]
fn uploads_stop_where_the_reserve_begins() {
    let world = World::new();
    let free = Arc::new(AtomicU64::new(25_000));
    let probed = free.clone();
    let probe = move || {
        let free = probed.load(Ordering::SeqCst);
        Ok(Space {
            free,
            size: 1 << 20,
        })
    };
    let volume = Volume::probed_by(probe, 10_000);
    let clips = open_on(&world.folder, &world.vaults, volume);
    let reserve = |clip, bytes| clips.reserve(place(clip, Part::Body), bytes);
    let full = |result: Result<Arriving, VaultError>| {
        matches!(result, Err(VaultError::Store(StoreError::NearlyFull)))
    };
    let mut first = reserve(1, 10_000).unwrap();
    assert!(full(reserve(2, 5_001)), "beside what arrives");
    let second = reserve(2, 5_000).unwrap();
    assert!(full(reserve(3, 1)));
    drop(second);
    first.write_all(&[1; 10_000]).unwrap();
    free.store(15_000, Ordering::SeqCst);
    first.commit().unwrap();
    drop(reserve(3, 5_000).unwrap());
    // In pieces too: an upload begins if it can end, and each piece finds its room.
    let body = place(4, Part::Body);
    let full_upload = |result: Result<(), VaultError>| {
        matches!(result, Err(VaultError::Store(StoreError::NearlyFull)))
    };
    assert!(full_upload(clips.begin_upload(body, 5_001).map(drop)));
    clips.begin_upload(body, 5_000).unwrap();
    let piece = clips.resume(body, 0, 3_000).unwrap();
    assert!(full(reserve(3, 2_001)), "beside a piece");
    drop(piece);
    free.store(9_999, Ordering::SeqCst);
    assert!(full_upload(clips.resume(body, 0, 1).map(drop)));
    assert!(full(reserve(3, 0)), "nothing more, however small");
    assert!(clips.volume().is_low());
    assert!(
        clips.file(&place(1, Part::Body)).unwrap().is_some(),
        "reads go on"
    );
    free.store(20_000, Ordering::SeqCst);
    assert!(reserve(3, 10_000).is_ok());
}

/// A complete clip that the database does not know, since it is an older one, is kept whatever its age:
/// it counts against nothing, and is completed again where it is.
#[test]
fn a_clip_that_the_database_forgot_is_put_aside() {
    let mut world = World::new();
    world.put_all(1);
    world.put_all(2);
    let backup = world.folder.path().join("backup.db");
    let database = world.folder.path().join("vaults.db");
    let copy = rusqlite::Connection::open(&database).unwrap();
    copy.execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    drop(copy);
    world.complete(1).unwrap();
    world.put_all(3);
    world.complete(3).unwrap();
    world.vaults = Arc::new(Vaults::open(&backup).unwrap());
    world.reopen();
    for clip in [1, 2, 3] {
        for part in Part::ALL {
            world.age(clip, part, DAY + Duration::from_secs(60));
        }
    }
    world.clips.sweep().unwrap();
    let there = |world: &World, clip| {
        let parts = Part::ALL.map(|part| world.clips.file(&place(clip, part)).unwrap());
        parts.iter().flatten().count()
    };
    let all = [1, 2, 3].map(|clip| there(&world, clip));
    assert_eq!(all, [3, 0, 3], "clip 2 was never complete");
    assert_eq!(world.left(), QUOTA);
    let list = |world: &World| {
        let listed = aside::list(&world.folder.path().join("clips"), &world.vaults).unwrap();
        listed.iter().map(|found| found.clip).collect::<Vec<_>>()
    };
    assert_eq!(list(&world), [id(1), id(3)]);

    // Its device names the commitments again, or says that the log has them.
    world.complete(1).unwrap();
    world.clips.complete(VAULT, id(3), &[]).unwrap();
    assert_eq!(world.vaults.waiting_commitments().unwrap(), 8);
    assert_eq!(list(&world), []);
    world.put_all(4);
    let never = world.clips.complete(VAULT, id(4), &[]);
    assert!(matches!(never, Err(VaultError::NoCommitments)), "{never:?}");
    world.clips.sweep().unwrap();
    assert_eq!([1, 3, 4].map(|clip| there(&world, clip)), [3, 3, 3]);

    // A person removes one; what is listed is not removed so.
    let path = |name| world.folder.path().join(name);
    let files = Files::open(&path("clips"), &path("staging"), Access::Private).unwrap();
    let remove = |clip| aside::remove(&files, &world.vaults, VAULT, id(clip)).unwrap();
    world.vaults.remove_clip(VAULT, id(3)).unwrap();
    assert_eq!([1, 3, 4].map(remove), [false, true, false]);
    assert_eq!([1, 3, 4].map(|clip| there(&world, clip)), [3, 0, 3]);
}

/// A completion that is refused leaves the clip waiting: it is deleted when it is old.
#[test]
fn what_is_refused_was_never_complete() {
    let world = World::new();
    world.put_all(1);
    let too_many = vec![[7; 32]; 1];
    let many: Vec<[u8; 32]> = (0..10_000_u32)
        .map(|n| Digest::of(n.to_be_bytes()).as_bytes().to_owned())
        .collect();
    let refused = world.clips.complete(VAULT, id(1), &many);
    assert!(
        matches!(refused, Err(VaultError::QuotaCommitments { .. })),
        "{refused:?}"
    );
    for part in Part::ALL {
        world.age(1, part, DAY + Duration::from_secs(60));
    }
    world.clips.sweep().unwrap();
    assert!(world.clips.complete(VAULT, id(1), &too_many).is_err());
    assert_eq!((world.on_disk("clips"), world.left()), (0, QUOTA));
}

/// Its folder is moved before its row is deleted: a crash between loses no clip that is listed.
#[test]
fn an_interrupted_removal_leaves_the_clip_whole() {
    let world = World::new();
    world.put_all(1);
    world.complete(1).unwrap();
    for part in Part::ALL {
        world.age(1, part, DAY + Duration::from_secs(60));
    }
    let files = &world.clips.0.files;
    files
        .move_folder(&folder(VAULT, id(1)), &waiting_folder(VAULT, id(1)))
        .unwrap();
    assert!(world.clips.file(&place(1, Part::Body)).unwrap().is_some());
    world.clips.sweep().unwrap();
    for part in Part::ALL {
        assert!(files.file(&place(1, part).to_string()).unwrap().is_some());
    }
    assert!(!files.has_folder(WAITING).unwrap());
}

/// A sweep looks at what waits, however many clips are complete.
#[test]
fn a_sweep_costs_what_waits() {
    let world = World::new();
    let body = place(99, Part::Body);
    let looks = |world: &World| {
        let before = LOOKS.get();
        world.clips.sweep().unwrap();
        LOOKS.get() - before
    };
    let mut looked = Vec::new();
    for complete in [0..1, 1..40] {
        for clip in complete {
            world.put_all(clip);
            world.complete(clip).unwrap();
        }
        looked.push(looks(&world));
    }
    assert_eq!(looked, [1, 1], "the folder of what waits");
    // Parts sent whole, one in pieces that is finished and not completed, and one under way.
    world.put(50, Part::Header, b"header").unwrap();
    world.clips.begin_upload(body, 4).unwrap();
    let mut piece = world.clips.resume(body, 0, 4).unwrap();
    piece.write_all(b"body").unwrap();
    piece.keep(4).unwrap();
    world.clips.begin_upload(place(51, Part::Body), 4).unwrap();
    let some = looks(&world);
    for clip in 100..140 {
        world.put_all(clip);
        world.complete(clip).unwrap();
    }
    assert_eq!(looks(&world), some);
    assert!((3..20).contains(&some), "{some}");
    for (clip, part) in [(50, Part::Header), (99, Part::Body)] {
        world.age(clip, part, DAY + Duration::from_secs(60));
    }
    world.clips.sweep().unwrap();
    assert!(world.clips.file(&body).unwrap().is_none());
    assert_eq!(world.left(), QUOTA - 80 * 18 - 4);
}
