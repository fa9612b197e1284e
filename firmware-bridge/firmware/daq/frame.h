// DAQ frames as in docs/daq-frame.md: header, payload, CRC-16/CCITT-FALSE, COBS, 00.
#pragma once
#include <avr/pgmspace.h>
#include <string.h>
#include <util/crc16.h>
#include "config.h"
#include "uart.h"

enum FrameType : uint8_t { DATA = 1, DESCRIPTION = 2, HEARTBEAT = 3 };

enum Fault : uint8_t {
    OPEN = 0x01,
    SHORT = 0x02,
    SATURATED = 0x04,
    RANGE = 0x08,
    CHECK = 0x10,
    NOT_NEW = 0x20,
    OTHER = 0x80,
};

static uint16_t crc16(const char *b, uint8_t n) {
    uint16_t crc = 0xFFFF;
    while (n--) crc = _crc_xmodem_update(crc, uint8_t(*b++));
    return crc;
}

namespace frame {

constexpr uint8_t HEADER = 8, CRC = 2, TEXT_MAX = 31;
constexpr uint8_t DATA_SIZE = HEADER + 1 + 5 * CHANNELS + CRC;
constexpr uint8_t DESCRIPTION_SIZE = HEADER + 2 + 3 + sizeof(FIRMWARE) + sizeof(ChannelText) + CRC;
constexpr uint8_t SIZE = DATA_SIZE > DESCRIPTION_SIZE ? DATA_SIZE : DESCRIPTION_SIZE;
constexpr uint8_t STUFFING = 2; // a code byte and the delimiter
static_assert(SIZE + STUFFING < 128, "two frames must fit into the ring of the line");
static_assert(sizeof(FIRMWARE) - 1 <= TEXT_MAX, "a text in a description has at most 31 bytes");

static char buffer[SIZE];
static uint8_t length;
static uint16_t sequence, dropped;

static void add(uint8_t c) { buffer[length++] = c; }

static void addBytes(const void *p, uint8_t n) {
    memcpy(buffer + length, p, n);
    length += n;
}

static void addText_P(const char *text, uint8_t limit) {
    uint8_t n = strnlen_P(text, limit);
    add(n);
    memcpy_P(buffer + length, text, n);
    length += n;
}

// begin numbers the frame. Frames are numbered when they are made, so that one which does not fit
// into the line is missing at the other end as well.
static void begin(FrameType type, uint32_t at) {
    length = 0;
    add(1);
    add(type);
    addBytes(&sequence, 2);
    addBytes(&at, 4);
    ++sequence;
}

// end adds the CRC and hands the frame to the line, stuffed on the way (Cheshire and Baker 1999): a
// frame has at most 254 bytes, so each group of bytes without zero ends at a zero or at the end.
static void end() {
    uint16_t crc = crc16(buffer, length);
    addBytes(&crc, 2);
    if (uart::room() < length + STUFFING) {
        ++dropped;
        return;
    }
    for (uint8_t from = 0;; ) {
        uint8_t n = strnlen(buffer + from, length - from);
        uart::put(n + 1);
        for (uint8_t i = 0; i < n; i++) uart::put(buffer[from + i]);
        from += n;
        if (from >= length) break;
        if (++from == length) { // the last byte was a zero: an empty group follows it
            uart::put(1);
            break;
        }
    }
    uart::put(0);
    uart::start();
}

static void data(uint32_t at, const float *value, const uint8_t *fault) {
    begin(DATA, at);
    add(CHANNELS);
    for (uint8_t i = 0; i < CHANNELS; i++) {
        add(fault[i]);
        addBytes(&value[i], 4); // binary32, little-endian: as it is in memory
    }
    end();
}

static void description(uint32_t at, uint8_t channel) {
    begin(DESCRIPTION, at);
    add(CHANNELS);
    add(channel);
    addText_P(PSTR(FIRMWARE), TEXT_MAX);
    addText_P(channelText[channel].name, sizeof channelText[channel].name);
    addText_P(channelText[channel].unit, sizeof channelText[channel].unit);
    end();
}

static void heartbeat(uint32_t at, uint8_t resetCause) {
    begin(HEARTBEAT, at);
    add(resetCause);
    addBytes(&dropped, 2);
    end();
}

} // namespace frame
