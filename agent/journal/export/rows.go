package export

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"strings"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

// writeSamples writes a row for each reading.
func writeSamples(ctx context.Context, w io.Writer, r *journal.Reader, q journal.Query, o Options) (rows int64, err error) {
	out, err := newSheet(w, o, []column{{name: "time"}, {name: "channel", kind: text}, {"value", number, true},
		{name: "unit", kind: text}, {name: "quality", kind: text}, {name: "reason", kind: text}, {name: "sent", kind: text}})
	if err != nil {
		return 0, err
	}
	asked := choose(o.Channels)
	cells := make([]cell, 7)
	err = journal.Rows(ctx, r, q, func(s *record.Sample) error {
		if !asked.takes(s.Channel) {
			return nil
		}
		rows++
		cells[0].whole, cells[1].text, cells[2], cells[3].text = s.Time, s.Channel, numberCell(s.Value), s.Unit
		cells[4].text, cells[5].text, cells[6].text = quality(s), s.Reason, s.Sent
		return out.row(cells)
	})
	if err = finish(err, out.end); err == nil {
		err = asked.missing()
	}
	return rows, err
}

func quality(s *record.Sample) string { return cmp.Or(s.Quality, "good") }

// writeRecords writes a row for each record of another measurement: time, tags and fields as docs/influxdb.md has
// them. What has fields of names that are not known beforehand is a row for each of them.
func writeRecords(ctx context.Context, w io.Writer, r *journal.Reader, q journal.Query, o Options) (rows int64, err error) {
	columns, parts := recordColumns(q.Measurement)
	out, err := newSheet(w, o, columns)
	if err != nil {
		return 0, err
	}
	known := map[string]bool{}
	for _, c := range columns {
		known[c.name] = true
	}
	var line record.Any
	var damage journal.DamageError
	cells := make([]cell, len(columns))
	err = r.Lines(ctx, q, func(b []byte) error {
		if err := line.Read(b); err != nil {
			damage.Lines++
			damage.First = cmp.Or(damage.First, err)
			return nil
		}
		cells[0] = cell{whole: line.Time}
		for i, c := range columns[1:] {
			cells[i+1] = cellOf(&line, c)
		}
		if !parts {
			rows++
			return out.row(cells)
		}
		n := len(cells)
		for _, name := range slices.Sorted(maps.Keys(line.Fields)) {
			v, isNumber := line.Fields[name].(float64)
			if known[name] || !isNumber {
				continue
			}
			cells[n-2], cells[n-1] = cell{text: name}, numberCell(v)
			rows++
			if err := out.row(cells); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && damage.First != nil {
		err = &damage
	}
	return rows, finish(err, out.end)
}

// recordColumns are time, tags and fields of a measurement, each once; parts tells that its last two are name and value of a part.
func recordColumns(m record.Measurement) (columns []column, parts bool) {
	columns = []column{{name: "time"}}
	seen := map[string]bool{}
	tags, fields := record.Columns(m)
	for _, c := range tags {
		if !seen[c.Name] {
			seen[c.Name] = true
			columns = append(columns, column{name: c.Name, kind: text})
		}
	}
	for _, c := range fields {
		if seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		switch {
		case strings.HasPrefix(c.Name, "<"):
			parts = true
		case c.Type() == "float":
			columns = append(columns, column{c.Name, number, true})
		case c.Type() == "integer" && c.Unit == "ns":
			columns = append(columns, column{c.Name, instant, true})
		case c.Type() == "integer":
			columns = append(columns, column{c.Name, whole, true})
		default:
			columns = append(columns, column{name: c.Name, kind: text})
		}
	}
	if parts {
		columns = append(columns, column{name: "part", kind: text}, column{"value", number, true})
	}
	return columns, parts
}

func cellOf(line *record.Any, c column) cell {
	if tag, ok := line.Tags[c.name]; ok {
		return cell{text: tag}
	}
	switch v := line.Fields[c.name].(type) {
	case float64:
		return numberCell(v)
	case int64:
		if c.kind == number {
			return numberCell(float64(v))
		}
		return cell{whole: v}
	case bool:
		if v {
			return cell{text: "true"}
		}
		return cell{text: "false"}
	case string:
		return cell{text: v}
	}
	return cell{missing: true}
}
