/* One row a call, in one thread: the generated header, ONNX Runtime with reused tensors, and the library that trained the
   model, through the fastest call for one row that it has. single_row.py compiles and runs this:

     single_row model.onnx rows.f32 (xgboost|lightgbm) LIBRARY NATIVE_MODEL TURNS HEADER_CALLS RUNTIME_CALLS

   It prints "differ onnxruntime", the rows whose answer has other bits than the header's, and "differ native", the largest
   difference; "ns NAME", the nanoseconds a call in each turn, in which each way goes once through all rows; and
   "kb NAME CALLS BEFORE AFTER", the resident memory in kB around HEADER_CALLS and RUNTIME_CALLS further calls. */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <onnxruntime_c_api.h>

#include "bdt.h"

enum { WIDTH = BDT_N_FEATURES };

typedef double (*Score)(const float *row);

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(2);
}

static double header_score(const float *row) { return bdt(row); }

/* ONNX Runtime: two tensors over these two buffers. */
static const OrtApi *ort;
static OrtSession *session;
static OrtValue *input, *output;
static float ort_row[WIDTH], ort_answer;

static void ort_check(OrtStatus *status) {
  if (status != NULL) fail("ONNX Runtime", ort->GetErrorMessage(status));
}

static void ort_open(const char *model) {
  const int64_t in[] = {1, WIDTH}, out[] = {1, 1};
  const ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  OrtEnv *env = NULL;
  OrtSessionOptions *options = NULL;
  OrtMemoryInfo *memory = NULL;
  ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (ort == NULL) fail("ONNX Runtime", "older than onnxruntime_c_api.h");
  ort_check(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "single_row", &env));
  ort_check(ort->DisableTelemetryEvents(env));
  ort_check(ort->CreateSessionOptions(&options));
  ort_check(ort->SetIntraOpNumThreads(options, 1));
  ort_check(ort->SetInterOpNumThreads(options, 1));
  ort_check(ort->CreateSession(env, model, options, &session));
  ort_check(ort->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
  ort_check(ort->CreateTensorWithDataAsOrtValue(memory, ort_row, sizeof ort_row, in, 2, type, &input));
  ort_check(ort->CreateTensorWithDataAsOrtValue(memory, &ort_answer, sizeof ort_answer, out, 2, type, &output));
}

static double ort_score(const float *row) {
  static const char *const inputs[] = {"input"}, *const outputs[] = {"output"};
  const OrtValue *const values[] = {input};
  memcpy(ort_row, row, sizeof ort_row);
  ort_check(ort->Run(session, NULL, inputs, values, 1, outputs, 1, &output));
  return ort_answer;
}

static void *library;
static void *native_model; /* XGBoost's booster, LightGBM's FastConfig */
static const char *(*native_error)(void);

static void *symbol(const char *name) {
  void *found = dlsym(library, name);
  if (found == NULL) fail(name, dlerror());
  return found;
}

static void native_check(int status) {
  if (status != 0) fail("native library", native_error());
}

/* XGBoost: a prediction in place, its proxy and the JSON that points to xgb_row made once. */
static float xgb_row[WIDTH];
static char xgb_array[128];
static void *xgb_proxy;
static int (*xgb_predict)(void *, const char *, const char *, void *, const uint64_t **, uint64_t *, const float **);

static double xgb_score(const float *row) {
  static const char config[] = "{\"type\": 0, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, "
                               "\"strict_shape\": false, \"cache_id\": 0, \"missing\": NaN}";
  const uint64_t *shape;
  uint64_t n_dimensions;
  const float *answer;
  memcpy(xgb_row, row, sizeof xgb_row);
  native_check(xgb_predict(native_model, xgb_array, config, xgb_proxy, &shape, &n_dimensions, &answer));
  return answer[0];
}

static void xgb_open(const char *path) {
  int (*create)(const void *, uint64_t, void **), (*load)(void *, const char *), (*proxy)(void **);
  int (*set)(void *, const char *, const char *);
  *(void **)&native_error = symbol("XGBGetLastError");
  *(void **)&create = symbol("XGBoosterCreate");
  *(void **)&load = symbol("XGBoosterLoadModel");
  *(void **)&set = symbol("XGBoosterSetParam");
  *(void **)&proxy = symbol("XGProxyDMatrixCreate");
  *(void **)&xgb_predict = symbol("XGBoosterPredictFromDense");
  native_check(create(NULL, 0, &native_model));
  native_check(load(native_model, path));
  native_check(set(native_model, "nthread", "1"));
  native_check(proxy(&xgb_proxy));
  snprintf(xgb_array, sizeof xgb_array, "{\"data\": [%ju, true], \"shape\": [1, %d], \"typestr\": \"<f4\", \"version\": 3}",
           (uintmax_t)(uintptr_t)xgb_row, WIDTH);
}

/* LightGBM: the call that is made for one row after the other, its settings read once. */
static int (*lgb_predict)(void *, const void *, int64_t *, double *);

static double lgb_score(const float *row) {
  int64_t length;
  double answer;
  native_check(lgb_predict(native_model, row, &length, &answer));
  return answer;
}

static void lgb_open(const char *path) {
  int (*create)(const char *, int *, void **), (*init)(void *, int, int, int, int, int32_t, const char *, void **);
  const int probability = 0, first = 0, all = -1, float32 = 0;
  int n_rounds;
  void *booster = NULL;
  *(void **)&native_error = symbol("LGBM_GetLastError");
  *(void **)&create = symbol("LGBM_BoosterCreateFromModelfile");
  *(void **)&init = symbol("LGBM_BoosterPredictForMatSingleRowFastInit");
  *(void **)&lgb_predict = symbol("LGBM_BoosterPredictForMatSingleRowFast");
  native_check(create(path, &n_rounds, &booster));
  native_check(init(booster, probability, first, all, float32, WIDTH, "num_threads=1", &native_model));
}

static Score native_open(const char *kind, const char *path, const char *model) {
  const int is_xgboost = strcmp(kind, "xgboost") == 0;
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) fail(path, dlerror());
  (is_xgboost ? xgb_open : lgb_open)(model);
  return is_xgboost ? xgb_score : lgb_score;
}

static float *read_rows(const char *path, size_t *n_rows) {
  FILE *file = fopen(path, "rb");
  long size;
  float *rows;
  if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0) fail(path, "cannot be read");
  rewind(file);
  *n_rows = (size_t)size / (WIDTH * sizeof *rows);
  rows = malloc((size_t)size);
  if (rows == NULL || fread(rows, WIDTH * sizeof *rows, *n_rows, file) != *n_rows) fail(path, "cannot be read whole");
  fclose(file);
  return rows;
}

static volatile double total; /* answers must be wanted, or the compiler leaves them out */

/* The rows one after the other, again from the first after the last. */
static void call(Score score, const float *rows, size_t n_rows, size_t n_calls) {
  double sum = 0;
  size_t i, row = 0;
  for (i = 0; i < n_calls; i++) {
    sum += score(rows + row * WIDTH);
    if (++row == n_rows) row = 0;
  }
  total = sum;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

static void print_times(const char *name, const double *taken, size_t n_turns) {
  size_t turn;
  printf("ns %s", name);
  for (turn = 0; turn < n_turns; turn++) printf(" %.2f", taken[turn]);
  printf("\n");
}

static void take_turns(Score native_score, const float *rows, size_t n_rows, size_t n_turns) {
  const Score scores[] = {header_score, ort_score, native_score};
  static const char *const names[] = {"header", "onnxruntime", "native"};
  double *taken = malloc(3 * n_turns * sizeof *taken);
  size_t turn, way;
  if (taken == NULL) fail("turns", "no memory for so many");
  for (turn = 0; turn < n_turns; turn++)
    for (way = 0; way < 3; way++) {
      const double begin = now();
      call(scores[way], rows, n_rows, n_rows);
      taken[way * n_turns + turn] = (now() - begin) / (double)n_rows;
    }
  for (way = 0; way < 3; way++) print_times(names[way], taken + way * n_turns, n_turns);
  free(taken);
}

static void compare(Score native_score, const float *rows, size_t n_rows) {
  size_t row, n_others = 0;
  double largest = 0;
  for (row = 0; row < n_rows; row++) {
    const float header = (float)header_score(rows + row * WIDTH), runtime = (float)ort_score(rows + row * WIDTH);
    const double difference = fabs(native_score(rows + row * WIDTH) - (double)header);
    n_others += memcmp(&header, &runtime, sizeof header) != 0;
    if (!(difference <= largest)) largest = difference; /* NaN, too */
  }
  printf("differ onnxruntime %zu\ndiffer native %.3g\n", n_others, largest);
}

/* Resident memory that is no file's, where a leak would be: a thread of ONNX Runtime's that wakes after seconds brings about
   0.8 MB of the libraries' code into memory. */
static long resident_kb(void) {
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  char line[256];
  long kb = -1;
  if (file == NULL) fail("/proc/self/smaps_rollup", "cannot be read");
  while (kb < 0 && fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "Anonymous: %ld kB", &kb) != 1) kb = -1;
  fclose(file);
  if (kb < 0) fail("/proc/self/smaps_rollup", "has no Anonymous");
  return kb;
}

static void look_for_leaks(const char *name, Score score, const float *rows, size_t n_rows, const char *calls) {
  const size_t n_calls = strtoull(calls, NULL, 10);
  const long before = resident_kb();
  call(score, rows, n_rows, n_calls);
  printf("kb %s %zu %ld %ld\n", name, n_calls, before, resident_kb());
  fflush(stdout);
}

int main(int argc, char **argv) {
  size_t n_rows;
  float *rows;
  Score native_score;
  if (argc != 9) fail(argv[0], "see the head of single_row.c for its arguments");
  rows = read_rows(argv[2], &n_rows);
  ort_open(argv[1]);
  native_score = native_open(argv[3], argv[4], argv[5]);
  compare(native_score, rows, n_rows);
  take_turns(native_score, rows, n_rows, strtoull(argv[6], NULL, 10));
  look_for_leaks("header", header_score, rows, n_rows, argv[7]);
  look_for_leaks("onnxruntime", ort_score, rows, n_rows, argv[8]);
  return 0; /* what is still open ends with the process */
}
