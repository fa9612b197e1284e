// What hangs on this board. Change it here, flash, and the board describes itself accordingly.
#pragma once
#include <stdint.h>

#define FIRMWARE "stirdaq 1.0"

// 192 frames of 53 bytes a second take 40 % of it; 115200 would leave no margin for load cell
// amplifiers whose clock is fast. 16 MHz / 64, so exact: ATmega328P table 20-7.
constexpr uint32_t BAUD = 250000;

// Channels in the order of the data frame. Names and units are what the agent's configuration asks
// for; units are symbols of stirwatch's table. A text has at most 31 bytes.
enum Channel : uint8_t { T1, T2, F1, F2, U1, OUTPUT_DUTY, COMMAND, REPLY, CHANNELS };

struct ChannelText {
    char name[12], unit[4];
};

const ChannelText channelText[CHANNELS] PROGMEM = {
    {"T_tool", "\xC2\xB0" "C"}, // °C in UTF-8
    {"T_build", "\xC2\xB0" "C"},
    {"F_axial", "N"},
    {"F_lateral", "N"},
    {"U_in", "V"},
    {"output", "%"},  // what the PWM pin really does
    {"command", "1"}, // number of the command that was answered last
    {"reply", "1"},   // the answer, see Reply in command.h
};

// What is not fitted sends no samples, and its absence is no fault.
constexpr bool FITTED[CHANNELS] = {true, true, true, true, true, true, true, true};

// Load cells: value = (counts - ZERO) * NEWTON_PER_COUNT. A 20 kN cell of 2 mV/V at gain 128 fills
// 0.512 of the converter's +-2^23 counts: 20000 / (0.512 * 2^23) N per count.
constexpr int32_t ZERO[2] = {0, 0};
constexpr float NEWTON_PER_COUNT[2] = {4.6566e-3f, 4.6566e-3f};

// Analogue input on A0, 0 to AVcc (5 V). For a 4..20 mA loop across 250 ohm set ANALOG_OPEN_BELOW
// to 0.9 (NE 43: below 3.6 mA the loop is broken).
constexpr float VOLT_PER_COUNT = 5.0f / 1024;
constexpr float ANALOG_OPEN_BELOW = -1;

// Mains frequency at the thermocouples: the MAX31856 rejects it. 50 or 60 Hz.
constexpr bool MAINS_50HZ = true;

// Set-point output.
constexpr uint16_t PWM_HZ = 1000;
constexpr uint16_t DUTY_MAX = 1000;    // per mille; a command above is refused
constexpr uint16_t LEASE_MIN_MS = 50;  // a command's lease outside these is refused
constexpr uint16_t LEASE_MAX_MS = 10000;

// Pins (Arduino number, port bit). All ready lines are on port D: one pin-change interrupt.
//   D2 PD2 ready of thermocouple 1    D4 PD4 data of load cell 1    D6 PD6 clock of load cell 1
//   D3 PD3 ready of thermocouple 2    D5 PD5 data of load cell 2    D7 PD7 clock of load cell 2
//   D8 PB0 relay   D9 PB1 PWM   D10 PB2 select 1   A1 PC1 select 2   A0 PC0 analogue
//   D11 PB3 MOSI   D12 PB4 MISO   D13 PB5 SCK
constexpr uint8_t READY_PD = 2; // sensor i is on PD(2 + i): T1, T2, F1, F2
constexpr uint8_t CLOCK_PD = 6; // load cell k is on PD(6 + k)
constexpr uint8_t RELAY_PB = 0, PWM_PB = 1, SELECT1_PB = 2, SELECT2_PC = 1;
