package record

import (
	"encoding/json"
	"math"
	"reflect"
)

// JSON is a row as a JSON object: its stamp as time, its tags and fields by their names in the record. What the record
// would leave out is not there.
type JSON[R Row] struct{ Row R }

// MarshalJSON implements [json.Marshaler].
func (x JSON[R]) MarshalJSON() ([]byte, error) {
	t := tableOf[R]()
	v := reflect.ValueOf(x.Row)
	m := map[string]any{"time": v.Field(t.stamp.index).Int()}
	for _, columns := range [][]Column{t.tags, t.fields} {
		for _, c := range columns {
			f := v.Field(c.index)
			switch p, parts := f.Interface().(Parts); {
			case parts:
				all := map[string]float64{}
				for i, name := range p.Name {
					if finite(p.Value[i]) {
						all[name] = p.Value[i]
					}
				}
				m["parts"] = all
			case c.Optional && f.IsZero(), f.Kind() == reflect.Float64 && !finite(f.Float()):
			default:
				m[c.Name] = f.Interface()
			}
		}
	}
	return json.Marshal(m)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
