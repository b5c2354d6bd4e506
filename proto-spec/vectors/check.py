#!/usr/bin/env python3
"""Checks the recorded session of `session/first-media.json` by the protocol's prose alone.

Written from `proto-spec/spec` and the RFCs that it names, and from nothing else: it shares no code with the project, so that
it fails where the prose and the project differ. Needs Python 3.9 or later. With the PyPI package `cryptography` it derives
the keys and opens every datagram; without it it says so and checks the plaintexts only.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install cryptography && /tmp/venv/bin/python proto-spec/vectors/check.py
"""

import base64
import json
import pathlib
import struct
import sys

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    AESGCM = None

FILE = pathlib.Path(__file__).parent / "session" / "first-media.json"
TAG = 16  # bytes of AEAD_AES_128_GCM's tag, RFC 7714 section 12.1
OPUS, VP8 = 96, 97  # section 3.1
MICROPHONE, CAMERA = 0, 1  # section 3.5
KINDS = ["microphone", "camera", "screen", "screen audio"]  # section 4.5
STATES = {8: "published", 9: "wanted", 10: "shown"}  # section 4.1
ACK_STATUS = ["applied", "malformed", "limit exceeded", "not allowed"]  # section 4.3
MODES = ["nothing", "track", "speaker", "voice"]  # section 4.6
SHOWN_STATUS = ["flowing", "waiting for a key frame", "not published", "muted", "no bandwidth", "not allowed",
                "unsupported", "paused"]  # section 4.7


class Wrong(Exception):
    """The file and the prose differ."""


def require(holds, what, *details):
    if not holds:
        raise Wrong(" ".join([what, *map(repr, details)]))


def same(actual, expected, what):
    require(actual == expected, what + ": the bytes say", actual, "the file says", expected)


# --- Section 2.4: SRTP, RFC 3711 and RFC 7714 with Cryptex, RFC 9335 ---

def derive(master_key, master_salt, label, length):
    """RFC 3711 section 4.3: AES-CM keystream from (salt * 2^16) xor (label * 2^48), times 2^16 for the block counter."""
    start = int.from_bytes(master_salt, "big") << 16
    block = ((start ^ (label << 48)) << 16).to_bytes(16, "big")
    keystream = Cipher(algorithms.AES(master_key), modes.CTR(block)).encryptor()
    return keystream.update(bytes(length))


def derive_all(direction):
    key, salt = base64.b64decode(direction["master_key"]), base64.b64decode(direction["master_salt"])
    require((len(key), len(salt)) == (16, 12), "lengths of master key and salt")
    return {"rtp_key": derive(key, salt, 0, 16), "rtp_salt": derive(key, salt, 2, 12),
            "rtcp_key": derive(key, salt, 3, 16), "rtcp_salt": derive(key, salt, 5, 12)}


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def open_srtp(keys, sealed, roc):
    """RFC 7714 section 8 with RFC 9335: what is in clear is the fixed header and the extension block's own header."""
    csrc_bytes = 4 * (sealed[0] & 0x0F)
    require(sealed[0] & 0x10, "a native packet has an extension block")
    at = 12 + csrc_bytes
    profile = sealed[at:at + 2]
    require(profile == b"\xc0\xde", "the profile of a sealed packet is 0xC0DE, not", profile)
    clear = sealed[:12] + sealed[at:at + 4]
    secret = sealed[12:at] + sealed[at + 4:]
    sequence, ssrc = sealed[2:4], sealed[8:12]
    nonce = xor(bytes(2) + ssrc + roc.to_bytes(4, "big") + sequence, keys["rtp_salt"])
    opened = AESGCM(keys["rtp_key"]).decrypt(nonce, secret, clear)
    return sealed[:12] + opened[:csrc_bytes] + b"\xbe\xde" + sealed[at + 2:at + 4] + opened[csrc_bytes:]


def open_srtcp(keys, sealed):
    """RFC 7714 section 9: header and SSRC in clear, then the ciphertext, its tag, and last the E bit and the index."""
    word = sealed[-4:]
    number = int.from_bytes(word, "big")
    require(number >> 31, "the E bit is set")
    index = number & 0x7FFFFFFF
    nonce = xor(bytes(2) + sealed[4:8] + bytes(2) + index.to_bytes(4, "big"), keys["rtcp_salt"])
    return sealed[:8] + AESGCM(keys["rtcp_key"]).decrypt(nonce, sealed[8:-4], sealed[:8] + word), index


# --- Section 3: RTP ---

def parse_rtp(packet):
    first, second, sequence, timestamp = struct.unpack_from("!BBHI", packet)
    require(first >> 6 == 2 and not first & 0x20 and first & 0x10, "version 2, no padding, an extension block")
    at = 12 + 4 * (first & 0x0F)
    csrcs = [packet[i:i + 4].hex() for i in range(12, at, 4)]
    profile, words = struct.unpack_from("!HH", packet, at)
    require(profile == 0xBEDE, "one-byte header extensions")
    block, payload = packet[at + 4:at + 4 + 4 * words], packet[at + 4 + 4 * words:]
    elements = list(parse_elements(block))
    found = dict(elements)
    return {
        "payload_type": second & 0x7F, "marker": bool(second & 0x80), "sequence_number": sequence,
        "timestamp": timestamp, "ssrc": packet[8:12].hex(), "csrcs": csrcs,
        "extension_ids": [number for number, _ in elements],
        "audio_level": read(found, 1, 1, lambda b: {"voice": bool(b[0] & 0x80), "level": b[0] & 0x7F}),
        "transport_sequence": read(found, 2, 2, lambda b: int.from_bytes(b, "big")),
        "frame_marking": read(found, 3, 3, parse_marking),
        "capture_time": read(found, 4, 8, bytes.hex),
        "payload": payload.hex(),
    }, len(block) + 4


def parse_elements(block):
    """RFC 8285 section 4.2."""
    at = 0
    while at < len(block):
        if block[at] == 0:
            at += 1
            continue
        number, length = block[at] >> 4, (block[at] & 0x0F) + 1
        yield number, block[at + 1:at + 1 + length]
        at += 1 + length


def read(found, number, length, parse):
    if number not in found:
        return None
    require(len(found[number]) == length, "length of extension", number)
    return parse(found[number])


def parse_marking(data):
    flags = data[0]
    bit = lambda mask: bool(flags & mask)
    return {"start": bit(0x80), "end": bit(0x40), "independent": bit(0x20), "discardable": bit(0x10),
            "base_layer_sync": bit(0x08), "temporal_id": flags & 7, "layer_id": data[1], "tl0picidx": data[2]}


# --- Section 4: RTCP and in-band control ---

def parse_rtcp(compound):
    packets = []
    while compound:
        first, kind, words = struct.unpack_from("!BBH", compound)
        end = 4 * (words + 1)
        require(first >> 6 == 2 and not first & 0x20 and end <= len(compound), "a whole RTCP packet")
        packets.append(parse_rtcp_packet(first & 0x1F, kind, compound[4:end]))
        compound = compound[end:]
    return packets


def parse_rtcp_packet(count, kind, body):
    sender = body[:4].hex()
    if kind == 201:
        require(count == 0 and len(body) == 4, "a receiver report without blocks")
        return {"packet": "receiver_report", "sender": sender, "blocks": count}
    if (kind, count) == (206, 1):
        require(len(body) == 8, "length of a PLI")
        return {"packet": "picture_loss", "sender": sender, "media": body[4:8].hex()}
    require(kind == 204 and body[4:8] == b"SLCE", "a control message", kind, body[4:8])
    return parse_message(count, body[8:])


def parse_message(subtype, body):
    names = {0: ("ping", "token"), 1: ("pong", "token"), 2: ("path_challenge", "data"), 3: ("path_response", "data")}
    if subtype in names:
        require(len(body) == 8, "length of a small message")
        name, field = names[subtype]
        return {"packet": name, field: body.hex()}
    if subtype == 6:
        require(len(body) % 8 == 0, "length of an ack")
        return {"packet": "ack", "entries": [parse_ack(body[i:i + 8]) for i in range(0, len(body), 8)]}
    version, page, pages, count = struct.unpack_from("!IBBH", body)
    require(version >= 1 and page < pages <= 16 and len(body) <= 1000, "header of a page")
    field = "tracks" if subtype == 8 else "slots"
    parse = {8: parse_tracks, 9: parse_wanted, 10: parse_shown}[subtype]
    entries = parse(body[8:])
    require(len(entries) == count, "number of entries")
    return {"packet": STATES[subtype], "version": version, "page": page, "pages": pages, field: entries}


def parse_ack(entry):
    kind, page, status, _, version = struct.unpack("!BBBBI", entry)
    return {"state": STATES[kind], "page": page, "status": ACK_STATUS[status], "version": version}


def parse_tracks(body):
    tracks = []
    while body:
        track, kind, payload_type, flags, count = struct.unpack_from("!BBBBB", body)
        require(1 <= count <= 4 and len(body) >= 8 + 12 * count, "number of encodings")
        encodings = []
        for number in range(count):
            fields = struct.unpack_from("!BBBBHHI", body, 8 + 12 * number)
            names = ["stream", "temporal_layers", "spatial_layers", "fps", "width", "height", "max_bitrate"]
            encodings.append(dict(zip(names, fields)))
        tracks.append({"track": track, "kind": KINDS[kind], "payload_type": payload_type, "muted": bool(flags & 1),
                       "encodings": encodings})
        body = body[8 + 12 * count:]
    return tracks


def parse_wanted(body):
    slots = []
    for slot, mode, flags, subject, height, fps, priority in struct.iter_unpack("!HBB4sHBB", body):
        slots.append({"slot": slot, "mode": MODES[mode], "subject": subject.hex(), "paused": bool(flags & 1),
                      "max_height": height, "max_fps": fps, "priority": priority})
    return slots


def parse_shown(body):
    slots = []
    for slot, status, payload_type, track, width, height, fps, encoding, layers, _ in struct.iter_unpack(
            "!HBB4sHHBBBB", body):
        slots.append({"slot": slot, "status": SHOWN_STATUS[status], "payload_type": payload_type,
                      "track_id": track.hex(), "width": width, "height": height, "fps": fps, "encoding": encoding,
                      "temporal_layers": layers})
    return slots


# --- What the prose promises of a whole session ---

class Session:
    """One participant's session, checked datagram by datagram in the order of the file."""

    def __init__(self, participant):
        self.ticket = participant["ticket"]
        require(self.ticket["protocol_version"] == 1 and self.ticket["suite"] == "AEAD_AES_128_GCM", "a known ticket")
        for name in ("uplink", "downlink"):
            base, count = self.ticket[name]["ssrc_base"], self.ticket[name]["ssrc_count"]
            require(count >= 64 and count & (count - 1) == 0 and base % count == 0, "an aligned block", base, count)
        self.next_rtcp = {"uplink": 0, "downlink": 0}
        self.next_transport = {"uplink": 0, "downlink": 0}
        self.next_sequence = {}
        self.declared, self.wanted = {}, {}
        self.open_pages, self.pings, self.challenges = {}, set(), set()
        self.budget, self.validated_at = [], None

    def on_datagram(self, datagram):
        size, way = len(datagram["sealed"]) // 2, datagram["direction"]
        require(size <= (1136 if way == "uplink" else 1200), "size of a datagram", size)
        sent_at = datagram["sent_at_ms"]
        if way == "uplink":
            self.budget.append((datagram["received_at_ms"], 3 * size))
        elif self.validated_at is None or sent_at < self.validated_at:
            # Section 5.2: at most three times what came in before.
            self.budget.append((sent_at, -size))
            require(sum(n for at, n in self.budget if at <= sent_at) >= 0, "three times what came in")
        (self.on_rtp if datagram["class"] == "srtp" else self.on_rtcp)(datagram, way)

    def stream(self, ssrc, way):
        """Section 2.2."""
        offset = int(ssrc, 16) - self.ticket[way]["ssrc_base"]
        require(0 <= offset < self.ticket[way]["ssrc_count"] and offset % 4 == 0, "a media SSRC of the block", ssrc)
        return offset // 4

    def on_rtp(self, datagram, way):
        rtp, stream = datagram["says"]["rtp"], self.stream(datagram["says"]["rtp"]["ssrc"], way)
        require(stream > 0, "stream 0 carries no RTP")
        sequence = rtp["sequence_number"]
        expected = self.next_sequence.get((way, stream))
        require(sequence == expected if expected is not None else sequence < 1 << 15, "sequence number", sequence)
        self.next_sequence[way, stream] = sequence + 1
        same(rtp["transport_sequence"], self.next_transport[way], "transport-wide sequence number")
        self.next_transport[way] += 1
        ids = {OPUS: [1, 2, 4], VP8: [2, 3, 4]}[rtp["payload_type"]]
        same(rtp["extension_ids"], ids, "extensions in order of id")
        if rtp["payload_type"] == VP8:
            same(rtp["frame_marking"]["end"], rtp["marker"], "the marker is on the last packet")
            payload = bytes.fromhex(rtp["payload"])
            require(payload[0] & 0x80 and payload[1] & 0x80 and payload[2] & 0x80, "a 15-bit PictureID (RFC 7741)")
            same(bool(payload[0] & 0x10), rtp["frame_marking"]["start"], "the S bit of VP8 and of frame marking")
        if way == "uplink":
            require(rtp["csrcs"] == [] and stream in self.declared, "a declared stream without CSRC")
            same(rtp["payload_type"], self.declared[stream], "the declared payload type")
        else:
            same(rtp["csrcs"], [self.wanted[stream - 1]], "the CSRC is the track of slot stream - 1")

    def on_rtcp(self, datagram, way):
        same(datagram["index"], self.next_rtcp[way], "SRTCP index")
        self.next_rtcp[way] += 1
        require(len(datagram["plaintext"]) // 2 <= 1100, "size of a compound")
        packets = datagram["says"]["rtcp"]
        same(self.stream(packets[0]["sender"], way), 0, "the first packet's sender is the control SSRC")
        for packet in packets[1:]:
            self.on_packet(packet, way, datagram)

    def on_packet(self, packet, way, datagram):
        kind, other = packet["packet"], "downlink" if way == "uplink" else "uplink"
        if kind == "ping":
            self.pings.add((other, packet["token"]))
        elif kind == "pong":
            self.pings.remove((way, packet["token"]))
        elif kind == "path_challenge":
            self.challenges.add((other, packet["data"]))
        elif kind == "path_response":
            self.challenges.remove((way, packet["data"]))
            self.validated_at = datagram["received_at_ms"]
        elif kind == "ack":
            for entry in packet["entries"]:
                same(entry["status"], "applied", "status of an ack")
                same(self.open_pages.pop((way, entry["state"], entry["page"])), entry["version"], "version of an ack")
        elif kind == "picture_loss":
            self.stream(packet["sender"], way), self.stream(packet["media"], other)
        else:
            self.open_pages[other, kind, packet["page"]] = packet["version"]
            require(kind != "shown" or way == "downlink", "direction of a state")
            if kind == "published":
                self.declared = {encoding["stream"]: track["payload_type"]
                                 for track in packet["tracks"] for encoding in track["encodings"]}
            elif kind == "wanted":
                self.wanted = {slot["slot"]: slot["subject"] for slot in packet["slots"]}

    def finish(self):
        require(not self.pings and not self.challenges and not self.open_pages, "everything is answered",
                self.pings, self.challenges, self.open_pages)
        require(self.validated_at is not None, "the address is validated")


def check_seal(datagram, keys):
    sealed, way = bytes.fromhex(datagram["sealed"]), datagram["direction"]
    require(128 <= sealed[0] <= 191 and len(sealed) >= 22, "class of a datagram")
    same("srtcp" if 192 <= sealed[1] <= 223 else "srtp", datagram["class"], "class")
    if datagram["class"] == "srtp":
        plain, index = open_srtp(keys[way], sealed, 0), int.from_bytes(sealed[2:4], "big")
    else:
        plain, index = open_srtcp(keys[way], sealed)
    same((plain.hex(), index), (datagram["plaintext"], datagram["index"]), "plaintext and index")


def check_words(datagram):
    plain = bytes.fromhex(datagram["plaintext"])
    if datagram["class"] == "srtp":
        says, block = parse_rtp(plain)
        same(block, 20, "bytes of the extension block (section 3.2)")
        same({"rtp": says}, datagram["says"], "RTP")
    else:
        same({"rtcp": parse_rtcp(plain)}, datagram["says"], "RTCP")


def check_media(example):
    """What the second participant got is what the first one sent, and what the first one's encoders made."""
    def payloads(way, payload_type):
        says = [one["says"]["rtp"] for one in example["datagrams"] if one["class"] == "srtp" and one["direction"] == way]
        return [one["payload"] for one in says if one["payload_type"] == payload_type]
    publisher = next(one for one in example["participants"] if one["frames"])
    frames = {frame["track"]: frame["data"] for frame in publisher["frames"]}
    for way in ("uplink", "downlink"):
        same(payloads(way, OPUS), [frames[MICROPHONE]], "the Opus packet")
        pieces = payloads(way, VP8)
        same("".join(piece[8:] for piece in pieces), frames[CAMERA], "the VP8 frame behind descriptors of 4 bytes")
        require(len({len(piece) for piece in pieces[:-1]}) <= 1 and len(pieces[-1]) <= len(pieces[0]), "equal sizes")


def main():
    example = json.loads(FILE.read_text())
    sessions, keys = {}, {}
    for one in example["participants"]:
        sessions[one["participant"]] = Session(one)
        if AESGCM:
            own = {way: derive_all(one["ticket"][way]) for way in ("uplink", "downlink")}
            readable = {way: {name: key.hex() for name, key in own[way].items()} for way in own}
            same(readable, one["session_keys"], "session keys")
            keys[one["participant"]] = own
    for datagram in example["datagrams"]:
        try:
            if AESGCM:
                check_seal(datagram, keys[datagram["participant"]])
            check_words(datagram)
            sessions[datagram["participant"]].on_datagram(datagram)
        except Exception as error:
            raise SystemExit(f"datagram {datagram['number']}: {type(error).__name__}: {error}") from error
    for session in sessions.values():
        session.finish()
    check_media(example)
    print(f"{len(example['datagrams'])} datagrams of {len(sessions)} sessions are what the prose says")
    if not AESGCM:
        print("SKIPPED: key derivation and decryption, for there is no package `cryptography`", file=sys.stderr)


if __name__ == "__main__":
    main()
