//! Kernel modules: which others each needs, from what it says of itself, so that only those few are packed.

use crate::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a script may want: devices, IPVS, tunnels.
const WANTED: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "veth",
    "dummy",
    "tun",
    "bridge",
    "ipip",
    "ip_gre",
    "fou",
    "ip6_tunnel",
    "sit",
    "pktgen",
    "udp_diag",
    "tcp_diag",
    "ip_vs",
    "ip_vs_dh",
    "ip_vs_fo",
    "ip_vs_lblc",
    "ip_vs_lblcr",
    "ip_vs_lc",
    "ip_vs_mh",
    "ip_vs_nq",
    "ip_vs_ovf",
    "ip_vs_rr",
    "ip_vs_sed",
    "ip_vs_sh",
    "ip_vs_twos",
    "ip_vs_wlc",
    "ip_vs_wrr",
];

/// The modules to pack: their paths from `folder` (`/lib/modules/RELEASE`), and the text of `modules.dep`.
pub(super) fn select(folder: &Path) -> Result<(Vec<PathBuf>, String)> {
    let mut all = BTreeMap::new();
    collect(folder, &mut all)?;
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut open: Vec<String> = WANTED.iter().map(|name| (*name).to_owned()).collect();
    while let Some(name) = open.pop() {
        // Not there: it is built in, or this kernel does not have it, and a script that loads it says so.
        let (false, Some(path)) = (needs.contains_key(&name), all.get(&name)) else {
            continue;
        };
        let content = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let depends = depends(&content);
        open.extend(depends.iter().cloned());
        needs.insert(name, depends);
    }
    let relative = |name: &String| {
        let path = all.get(name)?;
        Some(path.strip_prefix(folder).unwrap_or(path).to_path_buf())
    };
    let mut list = String::new();
    for name in needs.keys() {
        let words: Vec<String> = std::iter::once(name.clone())
            .chain(closure(name, &needs))
            .filter_map(|name| Some(relative(&name)?.display().to_string()))
            .collect();
        if let Some((own, others)) = words.split_first() {
            list.push_str(&format!("{own}: {}\n", others.join(" ")));
        }
    }
    Ok((needs.keys().filter_map(relative).collect(), list))
}

/// All that `name` needs, what is needed most last: the order `modules.dep` has.
fn closure(name: &String, needs: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    after(name, needs, &mut seen, &mut order);
    order.pop();
    order.reverse();
    order
}

/// Puts `name` into `order` after all that it needs.
fn after(
    name: &String,
    needs: &BTreeMap<String, Vec<String>>,
    seen: &mut BTreeSet<String>,
    order: &mut Vec<String>,
) {
    if !seen.insert(name.clone()) {
        return;
    }
    for other in needs.get(name).into_iter().flatten() {
        after(other, needs, seen, order);
    }
    order.push(name.clone());
}

/// Every module below `folder`, by its name.
fn collect(folder: &Path, into: &mut BTreeMap<String, PathBuf>) -> Result {
    let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let Some(name) = name else { continue };
        if path.is_dir() {
            collect(&path, into)?;
        } else if let Some(stem) = name.strip_suffix(".ko") {
            into.insert(stem.replace('-', "_"), path);
        }
    }
    Ok(())
}

/// What the module says it needs: the field `depends` among its information, which ends with a zero byte.
fn depends(content: &[u8]) -> Vec<String> {
    let field = b"\0depends=";
    let Some(at) = content
        .windows(field.len())
        .position(|window| window == field)
    else {
        return Vec::new();
    };
    let rest = &content[at + field.len()..];
    let end = rest
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(rest.len());
    String::from_utf8_lossy(&rest[..end])
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_what_it_needs() {
        assert_eq!(
            depends(b"junk\0license=GPL\0depends=nf-conntrack,libcrc32c\0x"),
            ["nf_conntrack", "libcrc32c"]
        );
        assert!(depends(b"\0depends=\0").is_empty());
        assert!(depends(b"nothing").is_empty());
    }

    #[test]
    fn what_is_needed_most_comes_last() {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let needs = BTreeMap::from([
            ("a".to_owned(), words(&["b", "c"])),
            ("b".to_owned(), words(&["c"])),
            ("c".to_owned(), words(&[])),
        ]);
        assert_eq!(closure(&"a".to_owned(), &needs), ["b", "c"]);
    }
}
