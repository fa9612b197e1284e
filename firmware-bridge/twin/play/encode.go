package play

import (
	"math"
	"strconv"

	"stirwatch/firmware-bridge/twin/device"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/wire"
)

// encoder writes messages; numbers in the shortest form that reads back to the same bits.
type encoder struct {
	sequence uint16 // of DAQ frames
	frames   int
}

// describeEvery is how often the DAQ describes its channel, in data frames.
const describeEvery = 30

// serial is one message of the serial device, line end or delimiter included.
func (e *encoder) serial(f device.Format, c runlog.Column, stamp, played int64, v float64, sentinel bool) []byte {
	b := make([]byte, 0, 64)
	if f != device.DAQ {
		return f.AppendLine(b, c.Name, stamp, number(nil, v))
	}
	micros := uint32(played / 1000)
	if e.frames%describeEvery == 0 {
		name := c.Name[:min(len(c.Name), wire.MaxDAQText)]
		b = wire.AppendDAQDescription(b, e.sequence, micros, wire.DAQChannel{Count: 1, Firmware: "stirwatch play", Name: name, Unit: c.Unit.Symbol})
		e.sequence++
	}
	var fault wire.DAQFault
	if sentinel {
		fault = wire.FaultOpen
	}
	b = wire.AppendDAQData(b, e.sequence, micros, []float32{float32(v)}, []wire.DAQFault{fault})
	e.sequence++
	e.frames++
	return b
}

// frame is the payload of one row.
func (e *encoder) frame(log *runlog.Log, columns []int, row int, stamp int64) []byte {
	b := strconv.AppendInt(append(make([]byte, 0, 32+32*len(columns)), `{"ts":`...), stamp, 10)
	for _, c := range columns {
		b = append(strconv.AppendQuote(append(b, ','), log.Columns[c].Name), ':')
		b = number(b, log.Value[c][row])
	}
	return append(b, '}')
}

// number appends a finite number as JSON has it.
func number(b []byte, v float64) []byte {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}
