package agent

import (
	"reflect"
	"testing"
)

// fill sets every field below v to something, slices to two elements.
func fill(v reflect.Value, n *int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		*n++
		v.SetFloat(float64(*n))
	case reflect.Int, reflect.Int64:
		*n++
		v.SetInt(int64(*n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint64:
		*n++
		v.SetUint(uint64(*n % 200))
	}
}

// shared gives the paths of the slices that a and b have in common.
func shared(path string, a, b reflect.Value) (paths []string) {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			paths = append(paths, shared(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))...)
		}
	case reflect.Slice:
		if a.Len() > 0 && b.Len() > 0 && a.Pointer() == b.Pointer() {
			return []string{path}
		}
	}
	return paths
}

// A copy says the same in every field, also in those that will be added, and shares no slice: the tick
// writes into its own while others read.
func TestSnapshotCopiesEverything(t *testing.T) {
	var s, c Snapshot
	n := 0
	fill(reflect.ValueOf(&s).Elem(), &n)
	if n < 50 {
		t.Fatalf("only %d numbers are filled in", n)
	}
	for range 2 { // the second time into slices that are there
		s.CopyTo(&c)
		if !reflect.DeepEqual(s, c) {
			t.Fatalf("copied\n%+v\nto\n%+v", s, c)
		}
		if p := shared("Snapshot", reflect.ValueOf(s), reflect.ValueOf(c)); p != nil {
			t.Fatalf("shared with the tick: %v", p)
		}
	}
	if a := testing.AllocsPerRun(100, func() { s.CopyTo(&c) }); a != 0 {
		t.Errorf("%g allocations", a)
	}
}
