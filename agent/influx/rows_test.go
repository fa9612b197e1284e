package influx

import (
	"strings"
	"testing"
)

// An answer of InfluxDB 1.8 to a Flux query, and one of a query that failed while it ran.
const (
	answer = "#datatype,string,long,string,double\r\n#group,false,false,true,false\r\n#default,_result,,,\r\n" +
		",result,table,_measurement,_value\r\n,,0,samples,1\r\n,,0,\"odd, one\",2\r\n\r\n,result,table,_measurement\r\n,,1,health\r\n\r\n"
	failed = "error,reference\r\nFailed to parse query,897\r\n"
)

func TestReadRows(t *testing.T) {
	rows, err := readRows(strings.NewReader(answer))
	if err != nil || len(rows) != 3 || rows[0]["_measurement"] != "samples" || rows[1]["_measurement"] != "odd, one" || rows[2]["_measurement"] != "health" {
		t.Fatalf("%v, %v", rows, err)
	}
	if _, err := readRows(strings.NewReader(failed)); err == nil || !strings.Contains(err.Error(), "Failed to parse query") {
		t.Errorf("the failed query: %v", err)
	}
	if _, err := readRows(strings.NewReader("a,b\n\"open,1\n")); err == nil {
		t.Error("an open quote was read")
	}
}

func FuzzReadRows(f *testing.F) {
	f.Add(answer)
	f.Add(failed)
	f.Add("\n,\n#\n\"\n")
	f.Fuzz(func(t *testing.T, s string) {
		rows, err := readRows(strings.NewReader(s))
		if err == nil && len(rows) > strings.Count(s, "\n")+1 {
			t.Fatalf("%d rows of %q", len(rows), s)
		}
	})
}
