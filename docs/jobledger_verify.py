#!/usr/bin/env python3
"""Checks a file that left a jobledger: a proof, an export or a segment, gzipped or not.

    python3 jobledger_verify.py FILE... [--held NOTE]... [--key KEY]...

FILE     what to check; a segment is also looked up in the proofs given with it
NOTE     a signed checkpoint that you have kept yourself
KEY      a public key to believe, name+hex+base64, or a file with it

Exit code 0: all is as it should be. 5: something is not, and is listed. 2: wrong usage.
"""
import argparse, base64, gzip, hashlib, json, os, sys

P = 2 ** 255 - 19  # Ed25519, RFC 8032
L = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
def point(data):
    """The point that 32 bytes stand for, in extended coordinates; None if there is none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2 ** 255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign): return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    return ((b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P)
def multiply(scalar, p):
    total = (0, 1, 1, 0)
    while scalar:
        total = add(total, p) if scalar & 1 else total
        p, scalar = add(p, p), scalar >> 1
    return total
BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
def is_signed(public, message, signature):
    a, r = point(public), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= L: return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = multiply(s, BASE), add(r, multiply(h, a))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))
def read_key(text):
    text = open(text, encoding="utf-8").read() if os.path.exists(text) else text
    name, key_id, encoded = text.strip().split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if len(key) != 33 or key[0] != 1 or expected.hex() != key_id:
        raise ValueError("not a public key of Ed25519: " + name)
    return name, expected, key[1:]
def read_note(text):
    """Origin, size and root of a checkpoint, what was signed, and the signatures."""
    body, _, signatures = text.rpartition("\n\n")
    origin, size, root = body.split("\n")[:3]
    lines = [line.split(" ") for line in signatures.split("\n")[:-1]]
    signed = [(name, base64.b64decode(code)) for dash, name, code in lines if dash == "\u2014"]
    return {"origin": origin, "size": int(size), "root": base64.b64decode(root), "text": body + "\n", "signed": signed}
def signer(note, keys):
    made = [(name, code, key) for name, code in note["signed"] for key in keys if key[:2] == (name, code[:4])]
    return next((name for name, code, key in made if is_signed(key[2], note["text"].encode(), code[4:])), None)
def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def field(text):
    data = (text or "").encode("utf-8")
    return b"-" if text is None else b"%d:%s" % (len(data), data)
def seal_of(event):
    """Hash of the body, hex; None where there is none."""
    shape = [name for name in ("salt", "text", "bytes", "hash") if name in event]
    if shape in ([], ["hash"]): return event.get("hash")
    if shape not in (["salt", "text"], ["salt", "bytes"]) or len(base64.b64decode(event["salt"])) != 16:
        raise ValueError("a body is 16 bytes of salt with text or bytes, or hash")
    content = event["text"].encode("utf-8") if "text" in event else base64.b64decode(event["bytes"])
    return sha256(base64.b64decode(event["salt"]), content).hex()
def leaf_of(event):
    if "leaf" in event and len(event["leaf"]) == 64: return bytes.fromhex(event["leaf"])
    if type(event["at"]) is not int or type(event["revision"]) is not int: raise ValueError("revision and at are numbers")
    texts = [str(event[name]) for name in ("stream", "revision", "id", "type", "at", "data")]
    content = sha256(*map(field, texts[2:] + [event.get("metadata"), seal_of(event)]))
    return sha256(b"\x00", *map(field, texts[:2]), content)
def excused_by(event):
    """Leaves of the jobs that a JobsRemoved of the audit stream names."""
    facts, body = json.loads(event["data"]), base64.b64decode(event["bytes"])
    places = [("job-" + job["id"], str(at)) for job, had in zip(facts["jobs"], facts["events"]) for at in range(had)]
    return {sha256(b"\x00", *map(field, place), body[32 * n: 32 * n + 32]) for n, place in enumerate(places)}
def is_leaf(line): return "leaf" in line or "stream" in line and line["stream"][:6] != "batch-" and line["type"] != "NameTaken"
def words(line, number):
    what = ("a bare leaf",) if "leaf" in line else (line["type"], "at revision %d of" % line["revision"], line["stream"])
    return "line %d, %s" % (number, " ".join(what))
def lines_of(path):
    with open(path, "rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    with (gzip.open if is_packed else open)(path, "rb") as file:
        yield from file
def hashes(texts): return [base64.b64decode(text) for text in texts]
def node(left, right): return sha256(b"\x01", left, right)
def middle(start, end): return start + (1 << (end - start - 1).bit_length() - 1)
def root_by_path(leaf, index, start, end, path):
    """`path` is used up from its end: the last hash is the root's own child."""
    if end - start == 1: return leaf if not path else None
    if not path or not start <= index < end: return None
    at, rest, other = middle(start, end), path[:-1], path[-1]
    below = root_by_path(leaf, index, *((start, at) if index < at else (at, end)), rest)
    return below and (node(below, other) if index < at else node(other, below))
def root_of(leaves, first, start, end, outside):
    """Over leaves from `first` on, and the roots of what is outside of them from left to right; None: too few of either."""
    if end <= first or start >= first + len(leaves): return next(outside, None)
    if end - start == 1: return leaves[start - first]
    at = middle(start, end)
    left, right = root_of(leaves, first, start, at, outside), root_of(leaves, first, at, end, outside)
    return left and right and node(left, right)
def roots_by_consistency(old, old_root, start, end, proof, is_old):
    """The old root and the new one over leaves start to end; `proof` is used up from its end."""
    if end == old: return [old_root if is_old else proof.pop()] * 2
    at, other = middle(start, end), proof.pop()
    if old <= at:
        first, whole = roots_by_consistency(old, old_root, start, at, proof, is_old)
        return first, node(whole, other)
    return [node(other, root) for root in roots_by_consistency(old, old_root, at, end, proof, False)]
def is_consistent(old, new, proof):
    if not 0 < old["size"] < new["size"]: return old["size"] == 0
    roots = roots_by_consistency(old["size"], old["root"], 0, new["size"], proof, True) if proof else ()
    return not proof and tuple(roots) == (old["root"], new["root"])
def locate(path, index, end, kept, check):
    """The root says only that a slice differs: names lines that are not what the log kept of them, as far as the file has that."""
    known, named = {start + at // 32: page[at: at + 32] for start, page in kept for at in range(0, len(page), 32)}, 0
    for number, line in enumerate(map(json.loads, lines_of(path)), 1):
        if is_leaf(line) and index < end:
            differs = known.get(index, leaf_of(line)) != leaf_of(line)
            check(not differs or named == 10, "%s: is not what the log kept of leaf %d" % (words(line, number), index))
            index, named = index + 1, min(10, named + differs)

def look(path, held, keys, sealed, check):
    lines = lines_of(path)
    first = next(lines)
    manifest, end, digest = json.loads(first), {}, hashlib.sha256(first)
    kind, cut, of = manifest["kind"], manifest.get("slice"), manifest.get("filter") or {}
    job, one = (of.get("job"), of.get("event") or {}) if kind == "proof" else (None, {})
    note = read_note(manifest["checkpoint"]) if "checkpoint" in manifest else None
    leaves, revisions, erased, kept, bare, excused, events, placed, unsealed = [], {}, {}, [], [], set(), 0, 0, 0
    for number, line in enumerate(lines, 2):
        event = json.loads(line)
        check(not end, "line %d stands behind the end" % number)
        if event.get("end") is True:
            end = event; continue
        digest.update(line)
        where = words(event, number)
        if "leaf" in event:
            check(cut and event["index"] == cut["index"] + len(leaves), where + ": is not proven, or another one than it says")
            leaves.append(leaf_of(event))
            bare.append(leaves[-1])
            continue
        events, stream, revision = events + 1, event["stream"], event["revision"]
        check(revision > revisions.get(stream, -1), where + ": out of order")
        is_free, is_all = job is None and not cut or not is_leaf(event), job is not None or cut and cut["index"] == 0
        is_next = revision <= revisions.get(stream, -1 if is_all else revision - 1) + 1
        check(is_free or is_next, where + ": what came before it is missing")
        is_other = job is not None and stream != "job-%s" % job or any(event[name] != value for name, value in one.items())
        check(not is_other, where + ": is not what the file says that it proves")
        revisions[stream] = revision
        if "hash" in event and job is not None: erased[stream, revision, event["hash"]] = where
        for at, was in json.loads(event["data"])["hashes"].items() if event["type"] == "Expunged" else ():
            erased.pop((stream, int(at), was), None)
        if event["type"] == "SegmentSealed" and "path" in event: sealed.add(json.loads(event["data"])["sha256"])
        if cut and (stream, event["type"]) == ("audit", "LeavesHashed"):
            kept.append((json.loads(event["data"])["from"], base64.b64decode(event["bytes"])))
        if (stream, event["type"]) == ("audit", "JobsRemoved") and "bytes" in event: excused.update(excused_by(event))
        if not is_leaf(event): continue
        leaves.append(leaf_of(event))
        if note and not cut and "path" in event:
            root = root_by_path(leaves[-1], event["index"], 0, note["size"], hashes(event["path"]))
            placed += root == note["root"]
            check(root == note["root"], where + ": is not leaf %d of the checkpoint" % event["index"])
            check(not unsealed, where + ": is proven, and stands behind what is said to have come after the checkpoint")
        unsealed += not cut and "path" not in event
    hidden = set(bare) - excused if kind == "export" and not of and cut and cut["index"] == 0 else ()
    check(not hidden, "%d of %d bare leaves are of no job that was removed on record" % (len(hidden), len(bare)))
    for where in erased.values(): check(False, where + ": its body is gone, and nothing on record says so")
    is_known = manifest["format"] == "jobledger/1" and kind in ("proof", "export", "segment")
    check(is_known and end, "not a whole file of format jobledger/1")
    check(end.get("sha256") == digest.hexdigest(), "the file is not as it was written: its end has another hash of its bytes")
    is_so = (events, events, len(revisions)) == (manifest["events"], end.get("events"), manifest["streams"])
    check(is_so, "the file holds %d events of %d streams, and announces others" % (events, len(revisions)))
    print("%s: %s, %d events of %d streams, %s" % (path, kind, events, len(revisions), json.dumps(of)))
    if kind == "segment":
        is_sealed = {hashlib.sha256(open(path, "rb").read()).hexdigest(), end.get("sha256")} & sealed
        print("  sealed:", "as a proof given says" if is_sealed else "no proof given says so")
    check(kind != "proof" or placed == events > 0, "%d of %d events are not proven" % (events - placed, events))
    check(note or not held and not cut, "it has no checkpoint that could follow from one that is held, or have a slice")
    if note is None: return print("  proven: that the file is as it was written, and nothing more. " + manifest.get("unproven", ""))
    check(manifest.get("origin", note["origin"]) == note["origin"], "the checkpoint is of another log: " + note["origin"])
    is_said = kind != "export" or cut or unsealed == manifest.get("unsealed", 0)
    check(is_said, "%d events are not proven, and not as many are said to have come after the checkpoint" % unsealed)
    loose = events + len(bare) - len(leaves)
    if cut:
        unsealed = max(0, cut["index"] + len(leaves) - note["size"])
        leaves = leaves[: len(leaves) - unsealed]
        is_sound = type(cut["index"]) is int and 0 <= cut["index"] < note["size"] and leaves
        check(is_sound, "its slice covers no leaf of the checkpoint")
        outside = iter(hashes(cut["outside"]))
        if is_sound and (root_of(leaves, cut["index"], 0, note["size"], outside) != note["root"] or next(outside, None)):
            check(False, "the %d leaves from %d on are not those of the checkpoint" % (len(leaves), cut["index"]))
            locate(path, cut["index"], cut["index"] + len(leaves), kept, check)
    by = signer(note, keys)
    check(by or not keys, "the checkpoint was not signed with any of the keys given")
    what = "all leaves from %d on" % cut["index"] if cut else "each event" if placed else "nothing"
    what += ", but for the last %d" % unsealed if unsealed else ""
    what += ". By its own word %d more came later" % manifest["later"] if manifest.get("later") else ""
    what += ". Bare leaves of removed events: %d" % len(bare) if bare else ""
    what += ". Of batches, which are in no tree: %d" % loose if loose else ""
    by = by or ("of no key given" if keys else "not checked, no --key")
    print("  checkpoint: %d leaves of %s, root %s\n  signature: %s" % (note["size"], note["origin"], note["root"].hex(), by))
    print("  proven to be in that checkpoint: " + what)
    for mine in held:
        name = "the checkpoint held of %d leaves" % mine["size"]
        check(not keys or signer(mine, keys), name + " was not signed with any of the keys given")
        is_grown = follows(mine, note, manifest, leaves if cut and cut["index"] == 0 else [])
        check(is_grown, "nothing in the file shows that it follows from " + name)
        print("  relative to: " + (name + ", which this one grew out of" if is_grown else "nothing"))
    print("" if held else "  relative to: nothing you hold; whoever has the key can have written all of it anew\n", end="")

def follows(mine, note, manifest, leaves):
    if mine["origin"] != note["origin"]: return False
    if 0 < mine["size"] <= len(leaves):
        return root_of(leaves[: mine["size"]], 0, 0, mine["size"], iter([])) == mine["root"]
    if mine["size"] == note["size"]: return mine["root"] == note["root"]
    return is_consistent(mine, note, hashes(manifest.get("consistency", {}).get("proof", [])))

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    for flag in ("--held", "--key"):
        parser.add_argument(flag, action="append", default=[])
    options = parser.parse_args()
    try:
        held = [read_note(open(path, encoding="utf-8").read()) for path in options.held]
        keys = [read_key(key) for key in options.key]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    found, sealed = [], set()
    for path in options.files:
        try:
            look(path, held, keys, sealed, lambda is_so, what: is_so or found.append("%s: %s" % (path, what)))
        except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, StopIteration) as error:
            found.append("%s: cannot be read: %r" % (path, error))
    print("".join("DIFFERS %s\n" % each for each in found), end="")
    sys.exit(5 if found else 0)

if __name__ == "__main__":
    main()
