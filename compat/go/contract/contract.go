// Package contract is what every client must show, whatever its interface: see compat/README.md.
//
// Broker and topic come from the environment (BOOTSTRAP, TOPIC). A check that fails ends the program with a sentence.
package contract

import (
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

const (
	Partitions = 3
	Records    = 100
	Deadline   = 30 * time.Second
)

var (
	Bootstrap = os.Getenv("BOOTSTRAP")
	Topic     = os.Getenv("TOPIC")
	Group     = Topic + "-group"
)

// Record is one that was acknowledged or consumed. Index is its place in the order of production, where that is known.
type Record struct {
	Index, Partition int
	Offset           int64
	Key, Value       string
}

func Key(i int) string   { return fmt.Sprintf("key-%d", i) }
func Value(i int) string { return fmt.Sprintf("value-%d", i) }

func Fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "FAILED: "+format+"\n", arguments...)
	os.Exit(1)
}

func Check(holds bool, format string, arguments ...any) {
	if !holds {
		Fail(format, arguments...)
	}
}

func Must(err error, what string) {
	if err != nil {
		Fail("%s: %v", what, err)
	}
}

// Feature prints a line for the table of clients: what has been shown.
func Feature(name string) { fmt.Println("feature: " + name) }

// CheckAcknowledged takes the records in the order of production and returns how many each partition got.
func CheckAcknowledged(acknowledged []Record) map[int]int64 {
	Check(len(acknowledged) == Records, "%d of %d records were acknowledged", len(acknowledged), Records)
	counts := map[int]int64{}
	for _, r := range acknowledged {
		// From 0, without a gap: no -1, nothing provisional, nothing written twice.
		Check(r.Offset == counts[r.Partition], "record %d was acknowledged with partition %d offset %d instead of %d",
			r.Index, r.Partition, r.Offset, counts[r.Partition])
		counts[r.Partition]++
	}
	for p := range Partitions {
		Check(counts[p] > 0, "partition %d got no record", p)
	}
	Check(len(counts) == Partitions, "records went to %d partitions instead of %d", len(counts), Partitions)
	return counts
}

// CheckConsumed takes the records in the order in which they arrived.
func CheckConsumed(acknowledged, consumed []Record) {
	type place struct {
		partition int
		offset    int64
	}
	Check(len(consumed) == Records, "%d of %d records were consumed", len(consumed), Records)
	produced := map[place]Record{}
	for _, r := range acknowledged {
		produced[place{r.Partition, r.Offset}] = r
	}
	next := map[int]int64{}
	for _, r := range consumed {
		Check(r.Offset == next[r.Partition], "partition %d: consumed offset %d instead of %d", r.Partition, r.Offset,
			next[r.Partition])
		next[r.Partition]++
		want := produced[place{r.Partition, r.Offset}]
		Check(r.Key == Key(want.Index) && r.Value == Value(want.Index), "partition %d offset %d: %q %q instead of record %d",
			r.Partition, r.Offset, r.Key, r.Value, want.Index)
	}
	Feature("consume")
}

func CheckOffsets(feature, what string, want, got map[int]int64) {
	Check(len(got) == len(want), "%s: %v instead of %v", what, got, want)
	for p, offset := range want {
		Check(got[p] == offset, "%s: %v instead of %v", what, got, want)
	}
	Feature(feature)
}

// Member is one of a consumer group.
type Member interface {
	Poll() []Record  // soon, with or without records
	Assigned() []int // the partitions that it owns now; nil where the client does not tell
	Commit()         // what it has read
	Close()          // leaves the group
}

// CheckGroup lets two members share the partitions and read everything; who comes later gets only what came later.
func CheckGroup(feature string, acknowledged []Record, join func() Member, produceOne func() Record) {
	type place struct {
		partition int
		offset    int64
	}
	everything := map[place]bool{}
	for _, r := range acknowledged {
		everything[place{r.Partition, r.Offset}] = true
	}
	var lock sync.Mutex
	read := [2]map[place]bool{{}, {}}
	shares := [2][]int{}
	stop := make(chan struct{})
	var done sync.WaitGroup
	for i := range 2 {
		done.Add(1)
		go func() {
			defer done.Done()
			member := join()
			for {
				select {
				case <-stop:
					member.Commit()
					member.Close()
					return
				default:
				}
				records, share := member.Poll(), member.Assigned()
				lock.Lock()
				for _, r := range records {
					read[i][place{r.Partition, r.Offset}] = true
				}
				shares[i] = share
				lock.Unlock()
			}
		}()
	}
	isDone := func() bool {
		lock.Lock()
		defer lock.Unlock()
		owners := map[int]int{}
		for i, share := range shares {
			for _, p := range share {
				if _, taken := owners[p]; taken {
					return false
				}
				owners[p] = i
			}
		}
		told := shares[0] != nil || shares[1] != nil
		if told && (len(shares[0]) == 0 || len(shares[1]) == 0 || len(owners) < Partitions) {
			return false
		}
		for r := range everything {
			// Each reads its partitions by itself: what another one read before a rebalance was not committed.
			if told && !read[owners[r.partition]][r] || !told && !read[0][r] && !read[1][r] {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(Deadline); !isDone(); time.Sleep(50 * time.Millisecond) {
		Check(time.Now().Before(deadline), "two members share %v and read %d and %d of %d records", shares, len(read[0]),
			len(read[1]), len(everything))
	}
	close(stop)
	done.Wait()
	for i := range 2 {
		for r := range read[i] {
			Check(everything[r], "a member read partition %d offset %d, which nobody wrote", r.partition, r.offset)
		}
	}

	later := produceOne()
	member := join()
	var got []Record
	for deadline := time.Now().Add(Deadline); len(got) == 0 && time.Now().Before(deadline); {
		got = member.Poll()
	}
	Check(len(got) == 1 && got[0].Partition == later.Partition && got[0].Offset == later.Offset,
		"who joined after the commits read %v instead of %v", got, later)
	member.Commit()
	member.Close()
	Feature(feature)
}

// OK prints the last line; the version is that of the module that the program was built with.
func OK(client, module string) {
	version := "unknown"
	if info, found := debug.ReadBuildInfo(); found {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				version = dependency.Version
			}
		}
	}
	fmt.Printf("client=%s version=%s ok\n", client, version)
}
