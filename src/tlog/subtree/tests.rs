use super::*;
use crate::tlog::checkpoint::Origin;
use crate::tlog::hash::leaf_hash;

fn leaves(count: u64) -> Vec<Hash> {
    (0..count)
        .map(|n| leaf_hash(n.to_string().as_bytes()))
        .collect()
}

/// The largest power of two below `width`.
fn split(width: usize) -> usize {
    width.next_power_of_two() / 2
}

/// RFC 6962 section 2.1, as it is written.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The draft's SUBTREE_SUBPROOF, as it is written.
fn prove(start: usize, end: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if (start, end) == (0, leaves.len()) {
        return if known { vec![] } else { vec![root(leaves)] };
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = if end <= middle {
        (prove(start, end, left, known), root(right))
    } else if middle <= start {
        let proof = prove(start - middle, end - middle, right, known);
        (proof, root(left))
    } else {
        (prove(0, end - middle, right, false), root(left))
    };
    proof.push(sibling);
    proof
}

fn holds(start: u64, end: u64, hash: Hash, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    let origin: Origin = "ledger.example/log".parse().unwrap();
    let subtree = Subtree {
        origin: &origin,
        start,
        end,
        hash,
    };
    verify_subtree_consistency(&subtree, TreeSize::new(size), root, proof).is_ok()
}

#[test]
fn every_subtree_of_every_small_tree_is_proved_and_no_other() {
    let all = leaves(40);
    for size in 1..=all.len() {
        let (tree, size_) = (&all[..size], size as u64);
        let whole = root(tree);
        for end in 1..=size {
            for start in 0..end {
                let (from, to) = (start as u64, end as u64);
                if !is_subtree(from, to) {
                    assert!(!holds(
                        from,
                        to,
                        root(&tree[start..end]),
                        size_,
                        &whole,
                        &[]
                    ));
                    continue;
                }
                let hash = root(&tree[start..end]);
                let proof = prove(start, end, tree, true);
                assert!(
                    holds(from, to, hash, size_, &whole, &proof),
                    "{from}..{to} of {size}"
                );
                let other = leaf_hash(b"another");
                assert!(!holds(from, to, other, size_, &whole, &proof));
                assert!(!holds(from, to, hash, size_, &other, &proof));
                let longer = [&proof[..], &[other]].concat();
                assert!(!holds(from, to, hash, size_, &whole, &longer));
                for spoiled in 0..proof.len() {
                    let mut proof = proof.clone();
                    proof[spoiled] = other;
                    assert!(!holds(from, to, hash, size_, &whole, &proof));
                    proof.remove(spoiled);
                    assert!(!holds(from, to, hash, size_, &whole, &proof));
                }
            }
        }
    }
    assert!(!holds(0, 0, all[0], 1, &all[0], &[]), "an empty subtree");
    assert!(!holds(0, 2, all[0], 1, &all[0], &[]), "beyond the tree");
}

/// The example of the specification.
const EXAMPLE: &str = "subtree 8 13
mbsQCg+dEIMGlpqeGgk94JutQwKKS2Lo5IuDhKmDjiU=
CD82D2LDm0phY0+xKbHyZfq3Hw21lVkuV7Zis5EFg0k=
h/ghL5nyaXTIBAklqDnisM+SFdbA3izoGZ5oRYMZzc0=
8qtnAAU9sTKQx/zt3E4v8Jt2a9IMQUf0QUawvePF9y0=
KuO5BNOmginG34Lm5G3e2GuiWliGo3K0ebzGpvI0fEg=

example.com/behind-the-sofa
14
/CcKVZM9n65aH7jLaIZuUB4/MSlEFQ4+ldwUC21rDHM=

\u{2014} witness.example/w1 AAAAAAAA
";

#[test]
fn the_example_of_the_specification_is_read() {
    let request = SignSubtree::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(request.to_string(), EXAMPLE);
    assert_eq!((request.start, request.end), (8, 13));
    let Checkpoint { size, root, .. } = &request.checkpoint;
    let verified = verify_subtree_consistency(&request.subtree(), *size, root, &request.proof);
    // As many hashes as belong there, but made up: those over 8..13 do not hash to its hash.
    let in_subtree = node_hash(&request.proof[2], &request.proof[0]);
    assert_ne!(in_subtree, request.hash);
    assert_eq!(verified, Err(ProofError::Root));
    // The line in it is of no key: whoever signs has not cosigned this.
    assert_eq!(request.judge(&[]), Err(WitnessRefusal::NotCosigned));
}

#[test]
fn a_request_has_one_spelling() {
    for (from, to) in [
        ("subtree 8 13", "subtree 8  13"),
        ("subtree 8 13", "subtree 08 13"),
        ("subtree 8 13", "subtree 8 +13"),
        ("subtree 8 13", "subtree 13 8"),
        ("subtree 8 13", "subtree 8 8"),
        ("subtree 8 13", "subtree 4 13"),
        ("subtree 8 13", "subtree 8 15"),
        ("subtree 8 13", "subtree 8"),
        ("subtree 8 13", "subtree 8 9223372036854775808"),
        ("subtree 8 13\n", "subtree 8 13\r\n"),
        ("mbsQ", "mbs"),
        ("\nmbsQCg+dEIMGlpqeGgk94JutQwKKS2Lo5IuDhKmDjiU=\n", "\n\n"),
        ("example.com/", "https://example.com/"),
        ("\n14\n", "\n014\n"),
    ] {
        let body = EXAMPLE.replacen(from, to, 1);
        assert_ne!(body, EXAMPLE);
        let parsed = SignSubtree::parse(body.as_bytes());
        assert_eq!(parsed.map_err(|e| e.status()), Err(400), "{to:?}");
    }
    let (head, note) = EXAMPLE.split_once("\n\n").unwrap();
    let line = "\nCD82D2LDm0phY0+xKbHyZfq3Hw21lVkuV7Zis5EFg0k=";
    let with = |extra: usize| format!("{head}{}\n\n{note}", line.repeat(extra));
    assert!(SignSubtree::parse(with(59).as_bytes()).is_ok(), "63 hashes");
    assert!(
        SignSubtree::parse(with(60).as_bytes()).is_err(),
        "64 hashes"
    );
}
