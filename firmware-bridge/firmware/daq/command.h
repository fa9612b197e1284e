// What the board is told, byte by byte:
//
//     ?                                          describe yourself; at the start of a line
//     O <number> <duty> <relay> <lease>*<CRC>    set the output, ended by LF or CR
//
// number 0..65535 is repeated in the answer; duty in per mille; relay 0 or 1; lease in ms; CRC is
// the CRC-16 of the frames over all that stands before the star, four hexadecimal digits.
#pragma once
#include <stdlib.h>
#include "frame.h"
#include "output.h"
#include "uart.h"

enum Reply : uint8_t {
    NO_REPLY = 0,
    ACCEPTED = 1,
    DAMAGED = 2,       // CRC or form; number is that of the answer before
    DUTY_REFUSED = 3,  // above DUTY_MAX, or relay neither 0 nor 1
    LEASE_REFUSED = 4, // outside LEASE_MIN_MS to LEASE_MAX_MS
    LEASE_ENDED = 5,   // of the command accepted last: the output is safe
};

namespace command {

static uint16_t number;
static Reply reply;
static bool describe; // was asked for
static bool answered; // since it was last looked at

static char line[40];
static uint8_t length; // sizeof line: too long

// field reads a number and the character after it.
static bool field(char *&at, char after, uint16_t &value) {
    if (*at < '0' || *at > '9') return false;
    char *end;
    unsigned long v = strtoul(at, &end, 10);
    if (v > 65535 || *end != after) return false;
    value = v;
    at = end + 1;
    return true;
}

static Reply obey() {
    constexpr uint8_t TAIL = 5; // *hhhh
    if (length < TAIL || length >= sizeof line) return DAMAGED;
    line[length] = 0;
    char *star = line + length - TAIL, *end;
    uint16_t crc = strtoul(star + 1, &end, 16);
    if (*star != '*' || end != line + length || crc != crc16(line, length - TAIL)) return DAMAGED;
    char *at = line + 2;
    uint16_t n, duty, relay, lease;
    if (line[0] != 'O' || line[1] != ' ' || !field(at, ' ', n) || !field(at, ' ', duty) || !field(at, ' ', relay) || !field(at, '*', lease) || at != star + 1)
        return DAMAGED;
    number = n;
    if (duty > DUTY_MAX || relay > 1) return DUTY_REFUSED;
    if (lease < LEASE_MIN_MS || lease > LEASE_MAX_MS) return LEASE_REFUSED;
    output::lend(duty, relay, lease);
    return ACCEPTED;
}

// poll takes what has come. A refused command changes nothing and renews nothing.
static void poll() {
    for (int16_t c; (c = uart::get()) >= 0;) {
        if (c == '?' && length == 0) {
            describe = true;
        } else if (c != '\n' && c != '\r') {
            if (length < sizeof line) line[length++] = c;
        } else if (length > 0) {
            reply = obey();
            answered = true;
            length = 0;
        }
    }
}

} // namespace command
