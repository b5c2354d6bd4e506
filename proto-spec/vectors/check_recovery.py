#!/usr/bin/env python3
"""Checks `recovery/reed-solomon.json` by section 11 of the protocol's prose alone.

Shares no code with the project, so that it fails where the prose and the project differ. Needs Python 3.9 or later and nothing
else. `--write` computes everything but the source packets anew.

    python3 proto-spec/vectors/check_recovery.py
"""

import json
import pathlib
import sys

FILE = pathlib.Path(__file__).parent / "recovery" / "reed-solomon.json"


def times(left, right):
    """Section 10.3: polynomials over two elements, modulo x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    for bit in range(8):
        if right >> bit & 1:
            product ^= left << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11D << (bit - 8)
    return product


def power(exponent):
    result = 1
    for _ in range(exponent % 255):
        result = times(result, 2)
    return result


def inverse(element):
    return next(other for other in range(1, 256) if times(element, other) == 1)


def coefficient(row, position, sources):
    """Section 10.3."""
    if row == 0:
        return 1
    if row == 1:
        return power(sources - 1 - position)
    return inverse(1 ^ power(position + row - 1))


def unit(packet):
    """Section 10.2."""
    packet = bytearray(packet)
    at = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        end, at = at + 4 + 4 * int.from_bytes(packet[at + 2:at + 4], "big"), at + 4
        while at < end:
            if packet[at] == 0:
                at += 1
                continue
            number, length = packet[at] >> 4, (packet[at] & 0x0F) + 1
            if number == 2:
                packet[at + 1:at + 1 + length] = bytes(length)
            at += 1 + length
    body = bytes(packet[0:2] + packet[4:8] + packet[12:])
    return len(body).to_bytes(2, "big") + body


def repairs(packets, count):
    """Section 10.1 and 10.3: the payloads of the repair packets of a block."""
    numbers = [int.from_bytes(packet[2:4], "big") for packet in packets]
    mask = sum(1 << (63 - (number - numbers[0]) % 65536) for number in numbers)
    units = [unit(packet) for packet in packets]
    length = max(map(len, units))
    for row in range(count):
        parity = bytearray(length)
        for position, part in enumerate(units):
            factor = coefficient(row, position, len(units))
            for at, byte in enumerate(part):
                parity[at] ^= times(factor, byte)
        yield numbers[0].to_bytes(2, "big") + bytes([row, count]) + mask.to_bytes(8, "big") + bytes(parity)


def recover(packets, payloads, lost):
    """Section 10.4, by elimination. `payloads` are as many as `lost`."""
    size, present = len(packets), [n for n in range(len(packets)) if n not in lost]
    length = len(payloads[0]) - 12
    system = []
    for payload in payloads:
        total = bytearray(payload[12:])
        for n in present:
            for at, byte in enumerate(unit(packets[n])):
                total[at] ^= times(coefficient(payload[2], n, size), byte)
        system.append([coefficient(payload[2], n, size) for n in lost] + list(total))
    for column in range(len(lost)):
        pivot = next(n for n in range(column, len(lost)) if system[n][column])
        system[column], system[pivot] = system[pivot], system[column]
        factor = inverse(system[column][column])
        system[column] = [times(factor, element) for element in system[column]]
        for n in range(len(lost)):
            factor = system[n][column]
            if n != column and factor:
                system[n] = [a ^ times(factor, b) for a, b in zip(system[n], system[column])]
    for n, line in zip(lost, system):
        whole = bytes(line[len(lost):])
        end = 2 + int.from_bytes(whole[:2], "big")
        assert 8 <= end <= length and not any(whole[end:])
        yield whole[2:4] + packets[n][2:4] + whole[4:8] + packets[n][8:12] + whole[8:end]


def main():
    file = json.loads(FILE.read_text())
    for block in file["blocks"]:
        packets = [bytes.fromhex(packet) for packet in block["sources"]]
        payloads = list(repairs(packets, block["rows"]))
        back = recover(packets, [payloads[row] for row in block["used"]], block["lost"])
        block.update(repairs=[p.hex() for p in payloads], recovered=[p.hex() for p in back])
    for table in file["coefficients"]:
        count = table["sources"]
        table["rows"] = [bytes(coefficient(row, n, count) for n in range(count)).hex() for row in range(16)]
    text = json.dumps(file, indent=2) + "\n"
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(text)
    elif json.loads(FILE.read_text()) != file:
        sys.exit("FAILED: the file is not what the prose says")
    print(f"{len(file['blocks'])} blocks, {len(file['coefficients'])} tables: all as the prose says")


main()
