/*
 * The only C++ of the project: Google Benchmark for the C cases of bench.h.
 *
 * Cases use manual time (bench.h says why), for which Google Benchmark appends "/manual_time" to the name and reports
 * the figure as real_time, with cpu_time holding the untimed resets too. The reporters below give the name without the
 * suffix, and the figure as both: the CPU time that bench_session_stop returned.
 */
#include "bench.h"

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

namespace
{

bool any_error;

/* Hands on to a reporter of Google Benchmark what it should have been given. */
class exact_reporter : public benchmark::BenchmarkReporter
{
  public:
    explicit exact_reporter(BenchmarkReporter *reporter) : inner(reporter)
    {
    }

    bool ReportContext(const Context &context) override
    {
        Context trimmed = context;
        const size_t suffix = sizeof("/manual_time") - 1;

        if (trimmed.name_field_width > suffix) trimmed.name_field_width -= suffix;
        inner->SetOutputStream(&GetOutputStream());
        inner->SetErrorStream(&GetErrorStream());
        return inner->ReportContext(trimmed);
    }

    void ReportRuns(const std::vector<Run> &runs) override
    {
        std::vector<Run> exact = runs;

        for (auto &run : exact) {
            run.run_name.time_type.clear();
            run.cpu_accumulated_time = run.real_accumulated_time;
            any_error |= run.error_occurred;
        }
        inner->ReportRuns(exact);
    }

    void Finalize() override
    {
        inner->Finalize();
    }

  private:
    std::unique_ptr<BenchmarkReporter> inner;
};

void set_counters(benchmark::State &state, const struct bench_facts *facts, double seconds)
{
    const double operations = static_cast<double>(state.iterations());

    if (facts->leaves > 0) {
        state.counters["leaves"] = facts->leaves;
        state.counters["ns_per_leaf"] = 1e9 * seconds / (operations * facts->leaves);
    }
    if (facts->mapped_bytes > 0) {
        state.counters["bytes_mapped_per_second"] = operations * facts->mapped_bytes / seconds;
    }
    if (facts->stored_bytes > 0) {
        state.counters["bytes_stored_per_second"] = operations * facts->stored_bytes / seconds;
    }
    if (facts->table_bytes > 0) state.counters["table_bytes"] = static_cast<double>(facts->table_bytes);
    for (unsigned i = 0; i < facts->counter_count; i++) {
        state.counters[facts->counters[i].name] = facts->counters[i].value;
    }
    if (facts->label) state.SetLabel(facts->label);
}

void run_case(benchmark::State &state, const struct bench_case *bench)
{
    char message[BENCH_MESSAGE_BYTES] = "";
    struct bench_session *session = bench_session_open(bench, message);

    if (!session) {
        state.SkipWithError(message);
        return;
    }
    const struct bench_facts *facts = bench_session_facts(session);

    bench_session_start(session);
    while (state.KeepRunningBatch(static_cast<int64_t>(facts->batch))) bench_session_round(session);
    const double seconds = bench_session_stop(session);

    state.SetIterationTime(seconds);
    if (bench_session_describe(session, message) && bench_session_verify(session, message)) {
        set_counters(state, facts, seconds);
    } else {
        state.SkipWithError(message);
    }
    bench_session_close(session);
}

} // namespace

void bench_google_context(const char *key, const char *value)
{
    benchmark::AddCustomContext(key, value);
}

int bench_google_run(const struct bench_case *const *cases, size_t count, const struct bench_google_options *options)
{
    int argc = options->argc;

    benchmark::Initialize(&argc, options->argv);
    if (benchmark::ReportUnrecognizedArguments(argc, options->argv)) return BENCH_CANNOT_RUN;
    for (size_t i = 0; i < count; i++) {
        const struct bench_case *bench = cases[i];

        benchmark::RegisterBenchmark(bench->name, [bench](benchmark::State &state) {
            run_case(state, bench);
        })->UseManualTime();
    }
    exact_reporter display(benchmark::CreateDefaultDisplayReporter());
    exact_reporter file(new benchmark::JSONReporter);
    const size_t runs = options->has_out ? benchmark::RunSpecifiedBenchmarks(&display, &file)
                                         : benchmark::RunSpecifiedBenchmarks(&display);

    benchmark::Shutdown();
    if (runs != count) return BENCH_CANNOT_RUN;
    return any_error ? BENCH_WRONG : BENCH_OK;
}
