/* A stand-in for NVIDIA's libnvidia-ml.so.1, for tests and benchmarks without a GPU.
 *
 * Only what the tracker calls is here, with the signatures and layouts of nvml.h. What the library pretends is set by
 * commands, separated by ';', in the environment variable NVML_STUB or given to stub_control() while it runs:
 *
 *   gpus N                     number of GPUs
 *   model GPU NAME             model of a GPU
 *   mig GPU N                  MIG mode with N devices
 *   gpm 0|1                    GPM metrics, as on Hopper
 *   fail NAME GPU|* CODE       the function NAME, or "fieldN" or "gpmN", fails with an NVML error code; 0: no longer
 *   hang NAME                  the function never returns
 *   latency none|sleep|spin    calls take their usual time, asleep or burning the processor
 *   reasons GPU BITS           clocks event reasons
 *   power GPU MILLIWATT
 *   field GPU FIELD VALUE [32] value of a field; with 32 it is an unsigned int
 *   user GPU PID BYTES         a process that uses memory of the GPU, or of its MIG devices
 *
 * stub_calls(NAME) tells how often a function was called, stub_references() how often NVML is initialised.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_GPUS = 16, MAX_SLICES = 7, MAX_RULES = 256, MAX_FIELDS = 300, MAX_NAMES = 128 };
enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
enum { ANY = -1, UNSIGNED_INT = 1, UNSIGNED_LONG_LONG = 3 };

typedef unsigned int uint;
typedef unsigned long long ull;
typedef struct { int gpu, slice; } Device; /* slice: -1 is the whole GPU */
typedef struct { char name[64]; int gpu, code; } Rule;
typedef struct { ull value; int type, is_set; } Field;
typedef struct {
    char model[96];
    int n_slices;
    uint power_mw, user_pid;
    ull reasons, user_bytes;
    Field fields[MAX_FIELDS];
} Gpu;

static Gpu gpus[MAX_GPUS];
static Device boards[MAX_GPUS], slices[MAX_GPUS][MAX_SLICES];
static int n_gpus, has_gpm, n_references, n_rules, n_names, is_set_up;
static enum { NONE, SLEEP, SPIN } latency;
static Rule rules[MAX_RULES];
static struct { char name[64]; long n_calls; } calls[MAX_NAMES];
static char hanging[64];
static long n_samples;

/* Assumed times in microseconds, on the slow side of what drivers take; all others: 100. */
static const struct { const char *name; int us; } usual_times[] = {
    {"nvmlInitWithFlags", 30000},
    {"nvmlDeviceGetPcieThroughput", 20000},
    {"nvmlDeviceGetComputeRunningProcesses_v3", 1000},
    {"nvmlGpmSampleGet", 1500},
    {"nvmlGpmMigSampleGet", 1500},
    {"nvmlGpmMetricsGet", 50},
    {"nvmlDeviceGetFieldValues", 500},
    {"nvmlDeviceGetPowerUsage", 300},
    {"nvmlDeviceGetUtilizationRates", 200},
    {"nvmlDeviceGetHandleByIndex_v2", 5},
};

static void set_field(int gpu, int field, ull value, int type) {
    if (field >= 0 && field < MAX_FIELDS) gpus[gpu].fields[field] = (Field){value, type, 1};
}

static void obey(const char *command) {
    char name[96], text[96];
    int gpu = 0, number = 0;
    uint pid;
    ull value;
    if (sscanf(command, " gpus %d", &number) == 1) n_gpus = number < MAX_GPUS ? number : MAX_GPUS;
    else if (sscanf(command, " model %d %95[^;]", &gpu, text) == 2) strcpy(gpus[gpu].model, text);
    else if (sscanf(command, " mig %d %d", &gpu, &number) == 2) gpus[gpu].n_slices = number;
    else if (sscanf(command, " gpm %d", &number) == 1) has_gpm = number;
    else if (sscanf(command, " hang %63s", hanging) == 1) return;
    else if (sscanf(command, " latency %95s", text) == 1)
        latency = !strcmp(text, "sleep") ? SLEEP : !strcmp(text, "spin") ? SPIN : NONE;
    else if (sscanf(command, " reasons %d %llu", &gpu, &value) == 2) gpus[gpu].reasons = value;
    else if (sscanf(command, " power %d %d", &gpu, &number) == 2) gpus[gpu].power_mw = (uint)number;
    else if (sscanf(command, " user %d %u %llu", &gpu, &pid, &value) == 3)
        gpus[gpu].user_pid = pid, gpus[gpu].user_bytes = value;
    else if (sscanf(command, " fail %63s %95s %d", name, text, &number) == 3 && n_rules < MAX_RULES) {
        rules[n_rules].gpu = strcmp(text, "*") ? atoi(text) : ANY;
        rules[n_rules].code = number;
        strcpy(rules[n_rules++].name, name);
    } else if (sscanf(command, " field %d %d %llu %95s", &gpu, &number, &value, text) == 4)
        set_field(gpu, number, value, UNSIGNED_INT);
    else if (sscanf(command, " field %d %d %llu", &gpu, &number, &value) == 3)
        set_field(gpu, number, value, UNSIGNED_LONG_LONG);
    else if (strspn(command, " ") != strlen(command)) {
        fprintf(stderr, "nvml_stub: unknown command: %s\n", command);
        abort();
    }
}

void stub_control(const char *commands) {
    char *copy = strdup(commands), *rest = copy, *command;
    while ((command = strsep(&rest, ";"))) obey(command);
    free(copy);
}

static void set_up(void) {
    if (is_set_up) return;
    is_set_up = 1;
    for (int gpu = 0; gpu < MAX_GPUS; gpu++) {
        boards[gpu] = (Device){gpu, -1};
        for (int slice = 0; slice < MAX_SLICES; slice++) slices[gpu][slice] = (Device){gpu, slice};
        strcpy(gpus[gpu].model, "NVIDIA A100-SXM4-80GB");
        gpus[gpu].power_mw = 300000 + 1000 * (uint)gpu;
        set_field(gpu, 3, 5, UNSIGNED_LONG_LONG);         /* ECC, corrected */
        set_field(gpu, 4, 1, UNSIGNED_LONG_LONG);         /* ECC, uncorrected */
        set_field(gpu, 83, 1000000, UNSIGNED_LONG_LONG);  /* energy in mJ */
        set_field(gpu, 138, 0, UNSIGNED_LONG_LONG);       /* NVLink sent, KiB */
        set_field(gpu, 139, 0, UNSIGNED_LONG_LONG);       /* NVLink received, KiB */
        set_field(gpu, 142, 2, UNSIGNED_INT);             /* rows remapped for correctable errors */
        set_field(gpu, 143, 1, UNSIGNED_INT);             /* rows remapped for uncorrectable errors */
    }
    n_gpus = 1;
    if (getenv("NVML_STUB")) stub_control(getenv("NVML_STUB"));
}

static int failure(const char *name, int gpu) {
    int code = OK; /* the last rule that fits holds */
    for (int rule = 0; rule < n_rules; rule++)
        if (!strcmp(rules[rule].name, name) && (rules[rule].gpu == ANY || rules[rule].gpu == gpu)) code = rules[rule].code;
    return code;
}

static void take_time(const char *name) {
    int us = 100;
    for (size_t i = 0; i < sizeof usual_times / sizeof *usual_times; i++)
        if (!strcmp(usual_times[i].name, name)) us = usual_times[i].us;
    if (latency == SLEEP || (latency == SPIN && us >= 20000)) { /* what takes that long is asleep in real drivers */
        usleep((useconds_t)us);
    } else if (latency == SPIN) {
        struct timespec start, now;
        clock_gettime(CLOCK_MONOTONIC, &start);
        do clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - start.tv_sec) * 1000000L + (now.tv_nsec - start.tv_nsec) / 1000 < us);
    }
}

long stub_calls(const char *name) {
    for (int i = 0; i < n_names; i++)
        if (!strcmp(calls[i].name, name)) return calls[i].n_calls;
    return 0;
}

int stub_references(void) { return n_references; }
long stub_samples(void) { return n_samples; }

/* What every function does first: count, take time, hang or fail. */
static int enter(const char *name, int gpu) {
    int i = 0;
    set_up();
    while (i < n_names && strcmp(calls[i].name, name)) i++;
    if (i == n_names && n_names < MAX_NAMES) strncpy(calls[n_names++].name, name, 63);
    if (i < MAX_NAMES) calls[i].n_calls++;
    while (!strcmp(hanging, name)) pause();
    take_time(name);
    if (!n_references && strcmp(name, "nvmlInitWithFlags")) return UNINITIALIZED;
    return failure(name, gpu);
}

#define ENTER(gpu)                              \
    do {                                        \
        int code = enter(__func__, gpu);        \
        if (code) return code;                  \
    } while (0)
#define ENTER_WHOLE(device)                     \
    do {                                        \
        ENTER((device)->gpu);                   \
        if ((device)->slice >= 0) return NOT_SUPPORTED; \
    } while (0)

int nvmlInitWithFlags(uint flags) {
    (void)flags;
    ENTER(ANY);
    n_references++;
    return OK;
}

int nvmlShutdown(void) {
    ENTER(ANY);
    n_references--;
    return OK;
}

const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }

int nvmlSystemGetDriverVersion(char *version, uint size) {
    ENTER(ANY);
    snprintf(version, size, "580.65.06");
    return OK;
}

int nvmlSystemGetCudaDriverVersion(int *version) {
    ENTER(ANY);
    *version = 13000;
    return OK;
}

int nvmlDeviceGetCount_v2(uint *count) {
    ENTER(ANY);
    *count = (uint)n_gpus;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(uint index, Device **device) {
    ENTER((int)index);
    if ((int)index >= n_gpus) return INVALID_ARGUMENT;
    *device = &boards[index];
    return OK;
}

int nvmlDeviceGetUUID(Device *device, char *uuid, uint size) {
    ENTER(device->gpu);
    uint head = 0x11111111u * (uint)(device->gpu + 1);
    if (device->slice < 0) snprintf(uuid, size, "GPU-%08x-0000-4000-8000-00000000000%x", head, device->gpu);
    else snprintf(uuid, size, "MIG-%08x-1111-4000-8000-00000000000%x", head, device->slice);
    return OK;
}

int nvmlDeviceGetName(Device *device, char *name, uint size) {
    ENTER(device->gpu);
    snprintf(name, size, device->slice < 0 ? "%s" : "%s MIG 1g.10gb", gpus[device->gpu].model);
    return OK;
}

typedef struct { char bus_id_legacy[16]; uint domain, bus, device, device_id, subsystem_id; char bus_id[32]; } PciInfo;

int nvmlDeviceGetPciInfo_v3(Device *device, PciInfo *info) {
    ENTER(device->gpu);
    memset(info, 0, sizeof *info);
    snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0", 0x10 + device->gpu);
    return OK;
}

typedef struct { uint gpu, memory; } Utilization;

int nvmlDeviceGetUtilizationRates(Device *device, Utilization *rates) {
    ENTER_WHOLE(device);
    if (gpus[device->gpu].n_slices) return NOT_SUPPORTED;
    *rates = (Utilization){50 + (uint)device->gpu, 30 + (uint)device->gpu};
    return OK;
}

static const ull GIB = 1ull << 30;

static ull total_memory(Device *device) { return device->slice < 0 ? 80 * GIB : 10 * GIB; }
static ull used_memory(Device *device) { return device->slice < 0 ? (10 + (ull)device->gpu) * GIB : (ull)(device->slice + 1) * GIB; }

typedef struct { ull total, free, used; } Memory;

int nvmlDeviceGetMemoryInfo(Device *device, Memory *memory) {
    ENTER(device->gpu);
    *memory = (Memory){total_memory(device), total_memory(device) - used_memory(device), used_memory(device)};
    return OK;
}

typedef struct { uint version; ull total, reserved, free, used; } MemoryV2;

int nvmlDeviceGetMemoryInfo_v2(Device *device, MemoryV2 *memory) {
    ENTER(device->gpu);
    memory->total = total_memory(device), memory->used = used_memory(device), memory->reserved = GIB / 2;
    memory->free = memory->total - memory->used - memory->reserved;
    return OK;
}

typedef struct { uint version; int sensor, temperature; } Temperature;

int nvmlDeviceGetTemperatureV(Device *device, Temperature *temperature) {
    ENTER_WHOLE(device);
    temperature->temperature = 60 + device->gpu;
    return OK;
}

int nvmlDeviceGetTemperature(Device *device, int sensor, uint *temperature) {
    (void)sensor;
    ENTER_WHOLE(device);
    *temperature = 60 + (uint)device->gpu;
    return OK;
}

int nvmlDeviceGetPowerUsage(Device *device, uint *milliwatt) {
    ENTER_WHOLE(device);
    *milliwatt = gpus[device->gpu].power_mw;
    return OK;
}

int nvmlDeviceGetEnforcedPowerLimit(Device *device, uint *milliwatt) {
    ENTER_WHOLE(device);
    *milliwatt = 400000;
    return OK;
}

int nvmlDeviceGetTotalEnergyConsumption(Device *device, ull *millijoule) {
    ENTER_WHOLE(device);
    *millijoule = gpus[device->gpu].fields[83].value;
    return OK;
}

int nvmlDeviceGetClockInfo(Device *device, int kind, uint *mhz) {
    ENTER_WHOLE(device);
    *mhz = kind == 1 ? 1410 : kind == 2 ? 1593 : 1000;
    return OK;
}

int nvmlDeviceGetFanSpeed(Device *device, uint *percent) {
    ENTER_WHOLE(device);
    *percent = 40;
    return OK;
}

int nvmlDeviceGetCurrentClocksEventReasons(Device *device, ull *bits) {
    ENTER_WHOLE(device);
    *bits = gpus[device->gpu].reasons;
    return OK;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(Device *device, ull *bits) {
    ENTER_WHOLE(device);
    *bits = gpus[device->gpu].reasons;
    return OK;
}

int nvmlDeviceGetPcieThroughput(Device *device, int counter, uint *kilobytes_per_s) {
    ENTER_WHOLE(device);
    *kilobytes_per_s = counter == 0 ? 1000 : 2000; /* sent, received */
    return OK;
}

int nvmlDeviceGetTotalEccErrors(Device *device, int kind, int counter, ull *count) {
    (void)counter;
    ENTER_WHOLE(device);
    *count = gpus[device->gpu].fields[kind == 0 ? 3 : 4].value;
    return OK;
}

int nvmlDeviceGetRemappedRows(Device *device, uint *corrected, uint *uncorrected, uint *pending, uint *failed) {
    ENTER_WHOLE(device);
    *corrected = 2, *uncorrected = 1, *pending = 0, *failed = 0;
    return OK;
}

int nvmlDeviceGetEncoderUtilization(Device *device, uint *percent, uint *period_us) {
    ENTER_WHOLE(device);
    *percent = 7, *period_us = 167000;
    return OK;
}

int nvmlDeviceGetDecoderUtilization(Device *device, uint *percent, uint *period_us) {
    ENTER_WHOLE(device);
    *percent = 8, *period_us = 167000;
    return OK;
}

typedef struct { uint pid; ull bytes; uint gpu_instance, compute_instance; } Process;

int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, uint *count, Process *processes) {
    ENTER(device->gpu);
    uint n_users = gpus[device->gpu].user_pid ? 1 : 0, room = *count;
    *count = n_users;
    if (room < n_users) return INSUFFICIENT_SIZE;
    if (n_users) processes[0] = (Process){gpus[device->gpu].user_pid, gpus[device->gpu].user_bytes, 0, 0};
    return OK;
}

typedef struct { uint field, scope; long long timestamp, latency_us; uint type; int code; union { uint ui; ull u; } value; } FieldValue;

int nvmlDeviceGetFieldValues(Device *device, int count, FieldValue *values) {
    ENTER_WHOLE(device);
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "field%u", values[i].field);
        Field field = values[i].field < MAX_FIELDS ? gpus[device->gpu].fields[values[i].field] : (Field){0};
        values[i].code = failure(name, device->gpu);
        if (!field.is_set) values[i].code = NOT_SUPPORTED;
        if ((values[i].field == 138 || values[i].field == 139) && values[i].scope != 0xFFFFFFFFu)
            values[i].code = INVALID_ARGUMENT;
        values[i].type = (uint)field.type;
        if (field.type == UNSIGNED_INT) values[i].value.ui = (uint)field.value;
        else values[i].value.u = field.value;
    }
    return OK;
}

int nvmlDeviceGetMigMode(Device *device, uint *current, uint *pending) {
    ENTER_WHOLE(device);
    *current = *pending = gpus[device->gpu].n_slices > 0;
    return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(Device *device, uint *count) {
    ENTER_WHOLE(device);
    *count = MAX_SLICES;
    return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(Device *device, uint index, Device **slice) {
    ENTER_WHOLE(device);
    if ((int)index >= gpus[device->gpu].n_slices) return NOT_FOUND;
    *slice = &slices[device->gpu][index];
    return OK;
}

int nvmlDeviceGetGpuInstanceId(Device *device, uint *id) {
    ENTER(device->gpu);
    if (device->slice < 0) return INVALID_ARGUMENT;
    *id = 7 + (uint)device->slice;
    return OK;
}

typedef struct { int gpu; uint instance; long number; } Sample;
typedef struct { uint id; int code; double value; char *short_name, *long_name, *unit; } Metric;
typedef struct { uint version, count; Sample *before, *now; Metric metrics[]; } MetricsGet;
typedef struct { uint version, is_supported; } GpmSupport;

int nvmlGpmQueryDeviceSupport(Device *device, GpmSupport *support) {
    ENTER(device->gpu);
    support->is_supported = (uint)has_gpm;
    return OK;
}

int nvmlGpmSampleAlloc(Sample **sample) {
    ENTER(ANY);
    *sample = calloc(1, sizeof **sample);
    n_samples++;
    return OK;
}

int nvmlGpmSampleFree(Sample *sample) {
    ENTER(ANY);
    free(sample);
    n_samples--;
    return OK;
}

static long sample_number;

int nvmlGpmSampleGet(Device *device, Sample *sample) {
    ENTER_WHOLE(device);
    *sample = (Sample){device->gpu, 0, ++sample_number};
    return OK;
}

int nvmlGpmMigSampleGet(Device *device, uint instance, Sample *sample) {
    ENTER_WHOLE(device);
    *sample = (Sample){device->gpu, instance, ++sample_number};
    return OK;
}

/* The value of a metric is its number, and the GPU instance's beyond that: 2 is 2.0, or 9.0 in instance 7. */
int nvmlGpmMetricsGet(MetricsGet *request) {
    ENTER(request->now->gpu);
    if (request->version != 1 || request->before->number >= request->now->number) return INVALID_ARGUMENT;
    for (uint i = 0; i < request->count; i++) {
        char name[32];
        snprintf(name, sizeof name, "gpm%u", request->metrics[i].id);
        request->metrics[i].code = failure(name, request->now->gpu);
        request->metrics[i].value = request->metrics[i].id + request->now->instance;
    }
    return OK;
}
