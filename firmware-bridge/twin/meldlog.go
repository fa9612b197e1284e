package twin

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// meldHeader is the header of the machine's log.
const meldHeader = "Date,Time,SpinVel,SpinTrq,SpinPwr,SpinSP,FeedVel,FeedPos,FeedTrq,FRO,PathVel,XPos,XVel,XTrq,YPos,YVel,YTrq,ZPos,ZVel,ZTrq,Gcode,Low,High,Ktype1,Ktype2,Ktype3,Ktype4,O2,ToolTemp,Tool2Temp\n"

// meldLog writes the machine's log in inch mode, line by line as the machine does.
type meldLog struct {
	file *os.File
	buf  []byte
	rows int
}

// newMELDLog makes a log named after the moment at which logging began, as the machine names them; where that name
// is taken, the next second's.
func newMELDLog(dir string, begin time.Time) (*meldLog, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("log folder: %w", err)
	}
	for range 1000 {
		f, err := os.OpenFile(filepath.Join(dir, begin.Format("20060102150405")+".csv"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if os.IsExist(err) {
			begin = begin.Add(time.Second)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("machine log: %w", err)
		}
		l := &meldLog{file: f}
		if _, err := f.WriteString(meldHeader); err != nil {
			f.Close()
			return nil, fmt.Errorf("machine log: %w", err)
		}
		return l, nil
	}
	return nil, fmt.Errorf("machine log: %s is full of logs of that time", dir)
}

// write appends one row and hands it to the system whole.
func (l *meldLog) write(at time.Time, r *Row) error {
	l.buf = appendMELD(l.buf[:0], at, r)
	l.rows++
	if _, err := l.file.Write(l.buf); err != nil {
		return fmt.Errorf("machine log: %w", err)
	}
	return nil
}

func (l *meldLog) close() error { return l.file.Close() }

func appendMELD(b []byte, at time.Time, r *Row) []byte {
	b = at.AppendFormat(b, "2006-01-02,15:04:05.00")
	for _, c := range [...]struct {
		v      float64
		digits int
	}{
		{r.RPM, 2}, {r.Torque / footPound, 2}, {r.Power, 2}, {r.SetPoint, 2},
		{r.FeedVel / inch, 3}, {r.FeedPos / inch, 4}, {r.FeedTrq, 2}, {r.Override, 2}, {r.PathVel / inch, 2},
		{r.X / inch, 4}, {r.XVel / inch, 3}, {r.XTrq, 2}, {r.Y / inch, 4}, {r.YVel / inch, 3}, {r.YTrq, 2}, {r.Z / inch, 4}, {r.ZVel / inch, 3}, {r.ZTrq, 2},
		{float64(r.Line), 0}, {r.Low, 1}, {r.High, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {-0.2098, 4}, {r.ToolTemp, 1}, {0, 1},
	} {
		b = strconv.AppendFloat(append(b, ','), c.v, 'f', c.digits, 64)
	}
	return append(b, '\n')
}
