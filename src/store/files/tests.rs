use super::*;
use tempfile::TempDir;

/// A root and a staging folder side by side, neither of them made yet.
fn open(folder: &TempDir, access: Access) -> Files {
    let (root, staging) = (folder.path().join("log"), folder.path().join("staging"));
    Files::open(&root, &staging, access).unwrap()
}

fn staged(folder: &TempDir) -> usize {
    fs::read_dir(folder.path().join("staging")).unwrap().count()
}

fn is_conflict(result: Result<(), StoreError>, at: &str) -> bool {
    matches!(result, Err(StoreError::Conflict { path }) if path == at)
}

#[test]
fn an_object_is_created_once() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    let path = "tile/0/x001/234.p/5";
    assert_eq!(files.read(path).unwrap(), None);
    files.create(path, b"hashes").unwrap();
    files.create(path, b"hashes").unwrap();
    let files = open(&folder, Access::Public);
    files.create(path, b"hashes").unwrap();
    for other in [&b"Hashes"[..], b"hash", b"hashes and more", b""] {
        assert!(is_conflict(files.create(path, other), path));
    }
    assert_eq!(files.read(path).unwrap().unwrap(), b"hashes");
    assert_eq!(staged(&folder), 0);
}

#[test]
fn what_is_renewed_is_not_removed_as_old() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Private);
    let (hour, root) = (Duration::from_secs(3600), folder.path().join("log"));
    let age = |path: &str| {
        let file = File::open(root.join(path)).unwrap();
        file.set_modified(SystemTime::now() - 2 * hour).unwrap();
    };
    for path in ["a/old", "a/renewed", "new", "ahead"] {
        files.create(path, b"1").unwrap();
    }
    age("a/old");
    age("a/renewed");
    let ahead = File::open(root.join("ahead")).unwrap();
    ahead.set_modified(SystemTime::now() + hour).unwrap();
    assert!(files.renew("a/renewed").unwrap().is_some());
    assert!(files.renew("absent").unwrap().is_none());
    files.settle("a/renewed").unwrap();
    for kept in ["a/renewed", "new", "ahead"] {
        assert!(!files.remove_older(kept, hour).unwrap(), "{kept}");
    }
    for gone in ["a/old", "a/old", "absent"] {
        assert!(files.remove_older(gone, hour).unwrap(), "{gone}");
    }
    assert_eq!(files.list("").unwrap(), ["a/renewed", "ahead", "new"]);
}

#[test]
fn folders_and_objects_do_not_pass_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    files.create("a/b", b"1").unwrap();
    assert_eq!(files.read("a").unwrap(), None);
    assert_eq!(files.read("a/b/c").unwrap(), None);
    assert!(is_conflict(files.create("a", b"1"), "a"));
    assert!(files.replace("a", b"1").is_err());
    assert!(matches!(
        files.create("a/b/c", b"1"),
        Err(StoreError::Io { .. })
    ));
    for absent in ["a", "a/b/c", "a/b/c/d", "x/y"] {
        files.remove(absent).unwrap();
    }
    assert_eq!(files.list("").unwrap(), ["a/b"]);
    assert_eq!(staged(&folder), 0);
}

#[test]
fn no_path_leads_out() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    fs::write(folder.path().join("secret"), "s").unwrap();
    for bad in ["../secret", "/etc/hostname", "a/../../secret", "", ".x"] {
        let refused = |result| matches!(result, Err(StoreError::BadPath { .. }));
        assert!(refused(files.read(bad).map(drop)), "{bad}");
        assert!(refused(files.create(bad, b"")), "{bad}");
        assert!(refused(files.replace(bad, b"")), "{bad}");
        assert!(refused(files.remove(bad)), "{bad}");
        assert!(refused(files.begin().unwrap().commit(bad)), "{bad}");
        assert!(
            bad.is_empty() || refused(files.list(bad).map(drop)),
            "{bad}"
        );
    }
    assert_eq!(staged(&folder), 0);
}

#[test]
fn replacing_is_seen_whole() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    let version = |n: u8| vec![n; 5000];
    files.replace("checkpoint", &version(0)).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while last < 50 {
                let seen = files.read("checkpoint").unwrap().unwrap();
                assert_eq!(seen, version(seen[0]));
                assert!(seen[0] >= last);
                last = seen[0];
            }
        });
        for n in 1..=50 {
            files.replace("checkpoint", &version(n)).unwrap();
        }
        reader.join().unwrap();
    });
}

#[test]
fn large_objects_are_staged_out_of_sight() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Private);
    let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let stage = |bytes: &[u8]| {
        let mut staged = files.begin().unwrap();
        bytes
            .chunks(70_001)
            .for_each(|part| staged.write_all(part).unwrap());
        staged
    };
    let upload = stage(&body);
    assert!(files.list("").unwrap().is_empty());
    assert_eq!(staged(&folder), 1);
    upload.commit("vault/clip/body").unwrap();
    stage(&body).commit("vault/clip/body").unwrap();
    drop(stage(&body));
    assert_eq!(staged(&folder), 0);
    for at in [0, 65_535, 65_536, 299_999] {
        let mut other = body.clone();
        other[at] ^= 1;
        let path = "vault/clip/body";
        assert!(is_conflict(stage(&other).commit(path), path), "{at}");
    }
    assert_eq!(files.read("vault/clip/body").unwrap().unwrap(), body);
    let mut part = files.file("vault/clip/body").unwrap().unwrap();
    part.seek(io::SeekFrom::Start(299_998)).unwrap();
    let mut end = Vec::new();
    part.read_to_end(&mut end).unwrap();
    assert_eq!(end, body[299_998..]);
}

#[test]
fn what_a_crash_leaves_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    let mut upload = files.stage_whole(b"half an upl").unwrap();
    // A process that dies runs no destructors.
    upload.file.disable_cleanup(true);
    drop(upload);
    fs::create_dir(folder.path().join("staging/staged-folder")).unwrap();
    fs::write(folder.path().join("staging/staged-folder/1"), "removed").unwrap();
    fs::write(folder.path().join("staging/notes"), "not ours").unwrap();
    files.create("a", b"1").unwrap();
    assert_eq!(staged(&folder), 3);
    let files = open(&folder, Access::Public);
    assert_eq!(staged(&folder), 1);
    assert_eq!(files.list("").unwrap(), ["a"]);
}

#[test]
fn lists_are_sorted_and_hold_objects_only() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    let paths = ["a", "b/c", "b/c-d/e", "b/d", "b.c", "z/0/1/2"];
    for path in paths.iter().rev() {
        files.create(path, path.as_bytes()).unwrap();
    }
    fs::write(folder.path().join("log/.hidden"), "").unwrap();
    fs::write(folder.path().join("log/with space"), "").unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("log/link")).unwrap();
    let mut sorted = paths;
    sorted.sort_unstable();
    assert_eq!(files.list("").unwrap(), sorted);
    assert_eq!(files.list("b").unwrap(), ["b/c", "b/c-d/e", "b/d"]);
    assert!(files.list("a").unwrap().is_empty());
    assert!(files.list("nowhere").unwrap().is_empty());
}

#[test]
fn removing_takes_empty_folders_along() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    let (partial, full) = ("tile/0/067.p/5", "tile/0/067");
    files.create(partial, b"1").unwrap();
    files.create(full, b"2").unwrap();
    files.remove(partial).unwrap();
    files.remove(partial).unwrap();
    assert!(!folder.path().join("log/tile/0/067.p").exists());
    assert_eq!(files.list("").unwrap(), [full]);
    files.create(partial, b"other").unwrap();
    assert_eq!(files.read(partial).unwrap().unwrap(), b"other");
    files.remove(partial).unwrap();
    files.remove(full).unwrap();
    assert!(folder.path().join("log").exists());
    assert!(!folder.path().join("log/tile").exists());
}

#[test]
fn a_folder_goes_with_all_that_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    for path in ["tile/0/067", "tile/0/067.p/1", "tile/0/067.p/2"] {
        files.create(path, b"1").unwrap();
    }
    for _ in 0..2 {
        files.remove_all("tile/0/067.p", Duration::ZERO).unwrap();
        files.remove_all("tile/0/067", Duration::ZERO).unwrap();
        assert_eq!(files.list("").unwrap(), ["tile/0/067"]);
    }
    assert_eq!(staged(&folder), 0);
    files.create("tile/0/067.p/3", b"1").unwrap();
    assert_eq!(files.read("tile/0/067.p/3").unwrap().unwrap(), b"1");
}

#[test]
fn modes_are_those_of_the_readers() {
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for (access, file, dir) in [
        (Access::Public, 0o644, 0o755),
        (Access::Private, 0o600, 0o700),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let files = open(&folder, access);
        files.create("a/b", b"1").unwrap();
        files.replace("c", b"1").unwrap();
        let root = folder.path().join("log");
        assert_eq!(mode(root.join("a/b")), file);
        assert_eq!(mode(root.join("c")), file);
        assert_eq!(mode(root.join("a")), dir);
        assert_eq!(mode(root), dir);
        assert_eq!(mode(folder.path().join("staging")), 0o700);
    }
}

#[test]
fn of_many_creators_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    for round in 0..20 {
        let path = format!("a/{round}/b");
        let wins = std::thread::scope(|scope| {
            let creators = [1, 2, 3, 4].map(|n: u8| {
                let (files, path) = (&files, &path);
                scope.spawn(move || match files.create(path, &[n; 100]) {
                    Ok(()) => Some(n),
                    other => is_conflict(other, path).then_some(0),
                })
            });
            creators.map(|creator| creator.join().unwrap().expect("won or conflict"))
        });
        let winner = files.read(&path).unwrap().unwrap()[0];
        assert_eq!(
            wins.iter().filter(|&&n| n != 0).collect::<Vec<_>>(),
            [&winner]
        );
    }
}

#[test]
fn creating_and_removing_in_one_folder_do_not_collide() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, Access::Public);
    std::thread::scope(|scope| {
        for n in 0..3 {
            let files = &files;
            scope.spawn(move || {
                for round in 0..40 {
                    let path = format!("x/y.p/{n}");
                    files.create(&path, &[round]).unwrap();
                    assert_eq!(files.read(&path).unwrap(), Some(vec![round]));
                    files.remove(&path).unwrap();
                }
            });
        }
    });
    assert!(files.list("").unwrap().is_empty());
}

#[test]
fn two_file_systems_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shared_memory = Path::new("/dev/shm");
    let device = |path: &Path| fs::metadata(path).map(|m| m.dev()).ok();
    if device(shared_memory).is_none_or(|dev| Some(dev) == device(folder.path())) {
        return;
    }
    let elsewhere = tempfile::tempdir_in(shared_memory).unwrap();
    let opened = Files::open(folder.path(), elsewhere.path(), Access::Public);
    assert!(matches!(opened, Err(StoreError::TwoFileSystems { .. })));
}
