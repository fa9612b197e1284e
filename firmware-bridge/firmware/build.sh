#!/bin/sh
# Builds the sketch (daq.elf, daq.hex) and the host that runs it in an emulator (uno) into a folder:
#
#     firmware-bridge/firmware/build.sh [folder]
#
# No network. It needs the Debian packages arduino-core-avr (which brings gcc-avr and avr-libc),
# libsimavr-dev and gcc.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../bin/firmware}
avr=${ARDUINO_AVR:-/usr/share/arduino/hardware/arduino/avr}
mkdir -p "$out/core"
out=$(cd "$out" && pwd)

# As the Arduino IDE does for an Uno; of the core's sources those that the sketch can reach.
# DECIMAL_DIG: a name that the core expects and this avr-libc lacks.
flags="-mmcu=atmega328p -DF_CPU=16000000UL -DARDUINO=10807 -DARDUINO_AVR_UNO -DARDUINO_ARCH_AVR
  -DDECIMAL_DIG=__DECIMAL_DIG__ -Os -ffunction-sections -fdata-sections
  -I$avr/cores/arduino -I$avr/variants/standard"
cxx="-std=gnu++11 -fno-exceptions -fno-threadsafe-statics"
for f in hooks.c wiring.c main.cpp; do
  case $f in
  *.cpp) avr-g++ $flags $cxx -w -c "$avr/cores/arduino/$f" -o "$out/core/$f.o" ;;
  *) avr-gcc $flags -std=gnu11 -w -c "$avr/cores/arduino/$f" -o "$out/core/$f.o" ;;
  esac
done
avr-g++ $flags $cxx -Wall -Wextra -Werror -include Arduino.h -x c++ -c "$here/daq/daq.ino" -o "$out/daq.o"
avr-gcc -mmcu=atmega328p -Os -Wl,--gc-sections "$out/daq.o" "$out/core/"*.o -lm -o "$out/daq.elf"
avr-objcopy -O ihex -R .eeprom "$out/daq.elf" "$out/daq.hex"
avr-size -C --mcu=atmega328p "$out/daq.elf" | grep -E '^(Program|Data)'

gcc -std=gnu11 -O2 -Wall -Wextra -Werror -isystem /usr/include/simavr "$here/host/uno.c" -o "$out/uno" -lsimavr -lutil -lm
