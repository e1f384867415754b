// Writes golden bytes for src/wire/testdata with franz-go's message classes: every field filled, of every version.
// usage: go run golden_bytes.go key:first-last ...
package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var counter int64

// Every value is another one, and none is a default.
func fill(value reflect.Value) {
	counter++
	switch value.Kind() {
	case reflect.Bool:
		value.SetBool(counter%2 == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		bits := value.Type().Bits()
		value.SetInt((counter*0x0107050d030b0211 + 5) << (64 - bits) >> (64 - bits))
	case reflect.Uint16:
		value.SetUint(uint64(counter*0x0307) & 0xffff)
	case reflect.Float64:
		value.SetFloat(float64(counter) + 0.25)
	case reflect.String:
		value.SetString(fmt.Sprintf("franz-%d", counter))
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(value.Elem())
	case reflect.Array:
		for i := 0; i < value.Len(); i++ {
			value.Index(i).SetUint(uint64(counter+int64(i)) & 0xff)
		}
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			bytes := make([]byte, 40+counter%200)
			for i := range bytes {
				bytes[i] = byte(counter + int64(i))
			}
			value.SetBytes(bytes)
			return
		}
		value.Set(reflect.MakeSlice(value.Type(), 2, 2))
		for i := 0; i < 2; i++ {
			fill(value.Index(i))
		}
	case reflect.Struct:
		for i := 0; i < value.NumField(); i++ {
			field := value.Type().Field(i)
			if field.Name != "Version" && field.Name != "UnknownTags" && field.IsExported() {
				fill(value.Field(i))
			}
		}
	default:
		panic("no value for " + value.Type().String())
	}
}

// franz-go sends tagged fields in every flexible version, also in those before the field's first: a peer there skips them.
func kind(name string, version int16) string {
	for _, early := range []struct {
		name        string
		first, last int16
	}{{"ProduceResponse", 9, 9}, {"FetchRequest", 12, 17}, {"FetchResponse", 12, 15}} {
		if name == early.name && early.first <= version && version <= early.last {
			return "newer_tags"
		}
	}
	return "full"
}

func main() {
	for _, argument := range os.Args[1:] {
		var key, first, last int16
		fmt.Sscanf(argument, "%d:%d-%d", &key, &first, &last)
		// As Kafka spells it.
		name := strings.NewReplacer("ID", "Id", "ACLs", "Acls", "SCRAM", "Scram", "PartitionAssignments", "PartitionReassignments").Replace(kmsg.NameForKey(key))
		for version := first; version <= last; version++ {
			counter = int64(version) * 10
			request := kmsg.RequestForKey(key)
			fill(reflect.ValueOf(request).Elem())
			request.SetVersion(version)
			fmt.Printf("%sRequest %d %s %x\n", name, version, kind(name+"Request", version), request.AppendTo(nil))
			response := kmsg.ResponseForKey(key)
			fill(reflect.ValueOf(response).Elem())
			response.SetVersion(version)
			fmt.Printf("%sResponse %d %s %x\n", name, version, kind(name+"Response", version), response.AppendTo(nil))
		}
	}
}
