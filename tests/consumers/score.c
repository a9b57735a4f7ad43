/* Scores and decisions of float32 rows through the C API of ONNX Runtime.

     ./score model.onnx rows.f32 0.9534 scores.f32 [rows a call]

   rows.f32: one row after the other, the features in the order of `mlbkg inspect model.onnx`, in the byte order of the
   machine. Rows a call: 10000 if not given; 1 is an event loop. What a call takes is printed.

   INCLUDE has onnxruntime_c_api.h (Debian, Ubuntu: libonnxruntime-dev puts it into /usr/include/onnxruntime; or from a
   release of ONNX Runtime). LIB has libonnxruntime.so.1; the Python package's folder onnxruntime/capi has it under a longer
   name: ln -s .../onnxruntime/capi/libonnxruntime.so.1.* LIB/libonnxruntime.so.1

     cc -O2 -std=c11 -Wall -Wextra -I INCLUDE score.c LIB/libonnxruntime.so.1 -Wl,-rpath,LIB -o score
*/

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <onnxruntime_c_api.h>

typedef struct {
  const OrtApi *api;
  OrtEnv *env;
  OrtSessionOptions *options;
  OrtSession *session;
  OrtMemoryInfo *memory;
  OrtValue *input, *output; /* tensors over the first n_bound rows of the two buffers */
  float *rows, *scores;
  size_t width, n_bound;
} Scorer;

static int succeeded(const Scorer *s, OrtStatus *status) {
  if (status == NULL) return 1;
  fprintf(stderr, "ONNX Runtime: %s\n", s->api->GetErrorMessage(status));
  s->api->ReleaseStatus(status);
  return 0;
}

/* The number of features: the model takes one input, float32 [?, width]. */
static int read_width(Scorer *s) {
  OrtTypeInfo *type = NULL;
  const OrtTensorTypeAndShapeInfo *tensor = NULL;
  ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t n_inputs = 0, n_dimensions = 0;
  int64_t shape[2] = {0, 0};
  int good = succeeded(s, s->api->SessionGetInputCount(s->session, &n_inputs)) &&
             succeeded(s, s->api->SessionGetInputTypeInfo(s->session, 0, &type)) &&
             succeeded(s, s->api->CastTypeInfoToTensorInfo(type, &tensor));
  if (good && tensor != NULL) {
    good = succeeded(s, s->api->GetTensorElementType(tensor, &element)) &&
           succeeded(s, s->api->GetDimensionsCount(tensor, &n_dimensions)) &&
           (n_dimensions != 2 || succeeded(s, s->api->GetDimensions(tensor, shape, 2)));
  }
  if (type != NULL) s->api->ReleaseTypeInfo(type);
  if (good && (n_inputs != 1 || element != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || shape[1] < 1 || shape[1] > 1 << 20)) {
    fprintf(stderr, "the model's only input is not float32 [?, features]; is it a folds.onnx?\n");
    return 0;
  }
  s->width = (size_t)shape[1];
  return good;
}

/* One thread: with more, small batches may differ in the last bit. */
static int open_scorer(Scorer *s, const char *model, size_t batch) {
  s->api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (s->api == NULL) {
    fprintf(stderr, "ONNX Runtime %s is older than the header, which has API %d\n", OrtGetApiBase()->GetVersionString(),
            ORT_API_VERSION);
    return 0;
  }
  if (!succeeded(s, s->api->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "score", &s->env)) ||
      !succeeded(s, s->api->DisableTelemetryEvents(s->env)) ||
      !succeeded(s, s->api->CreateSessionOptions(&s->options)) ||
      !succeeded(s, s->api->SetIntraOpNumThreads(s->options, 1)) ||
      !succeeded(s, s->api->SetInterOpNumThreads(s->options, 1)) ||
      !succeeded(s, s->api->SetSessionExecutionMode(s->options, ORT_SEQUENTIAL)) ||
      !succeeded(s, s->api->CreateSession(s->env, model, s->options, &s->session)) ||
      !succeeded(s, s->api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &s->memory)) || !read_width(s))
    return 0;
  s->rows = malloc(batch * s->width * sizeof *s->rows);
  s->scores = malloc(batch * sizeof *s->scores);
  if (s->rows == NULL || s->scores == NULL) fprintf(stderr, "no memory for %zu rows\n", batch);
  return s->rows != NULL && s->scores != NULL;
}

static void release_tensors(Scorer *s) {
  if (s->input != NULL) s->api->ReleaseValue(s->input);
  if (s->output != NULL) s->api->ReleaseValue(s->output);
  s->input = s->output = NULL;
  s->n_bound = 0;
}

static void close_scorer(Scorer *s) {
  free(s->rows);
  free(s->scores);
  if (s->api == NULL) return;
  release_tensors(s);
  if (s->memory != NULL) s->api->ReleaseMemoryInfo(s->memory);
  if (s->session != NULL) s->api->ReleaseSession(s->session);
  if (s->options != NULL) s->api->ReleaseSessionOptions(s->options);
  if (s->env != NULL) s->api->ReleaseEnv(s->env);
}

/* Tensors that own nothing: they are made anew only where the number of rows changes. */
static int bind(Scorer *s, size_t n) {
  const int64_t in[2] = {(int64_t)n, (int64_t)s->width}, out[2] = {(int64_t)n, 1};
  release_tensors(s);
  if (!succeeded(s, s->api->CreateTensorWithDataAsOrtValue(s->memory, s->rows, n * s->width * sizeof(float), in, 2,
                                                           ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &s->input)) ||
      !succeeded(s, s->api->CreateTensorWithDataAsOrtValue(s->memory, s->scores, n * sizeof(float), out, 2,
                                                           ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &s->output)))
    return 0;
  s->n_bound = n;
  return 1;
}

/* s->scores of the first n of s->rows */
static int score(Scorer *s, size_t n) {
  static const char *const inputs[] = {"input"}, *const outputs[] = {"output"};
  const OrtValue *const values[] = {s->input};
  if (n != s->n_bound) return bind(s, n) && score(s, n);
  return succeeded(s, s->api->Run(s->session, NULL, inputs, values, 1, outputs, 1, &s->output));
}

enum { EXACT = 256, N_TIMES = 64 * EXACT / 2 + EXACT };

/* A time's place among all that differ by more than 1 %: few enough to count 10 million calls in. */
static size_t place_of(uint64_t ns) {
  size_t halvings = 0;
  for (; ns >= EXACT; ns /= 2) halvings++;
  return halvings * (EXACT / 2) + (size_t)ns;
}

static double microseconds_at(size_t place) {
  double us = 1e-3;
  for (; place >= EXACT; place -= EXACT / 2) us *= 2;
  return us * (double)place;
}

/* The time that so large a share of the calls did not exceed. */
static double percentile(const size_t *times, size_t n_calls, double share) {
  size_t seen = 0, place = 0;
  while (place + 1 < N_TIMES && (double)(seen += times[place]) < share * (double)n_calls) place++;
  return microseconds_at(place);
}

static int run(Scorer *s, FILE *in, FILE *out, float threshold, size_t batch) {
  static size_t times[N_TIMES];
  const size_t row = s->width * sizeof(float);
  size_t n_rows = 0, n_selected = 0, n_calls = 0, bytes;
  while ((bytes = fread(s->rows, 1, batch * row, in)) > 0) {
    const size_t n = bytes / row;
    struct timespec begin, end;
    if (bytes % row != 0) {
      fprintf(stderr, "the rows end within a row of %zu features\n", s->width);
      return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (!score(s, n)) return 0;
    clock_gettime(CLOCK_MONOTONIC, &end);
    const int64_t ns = ((int64_t)end.tv_sec - begin.tv_sec) * 1000000000 + (end.tv_nsec - begin.tv_nsec);
    times[place_of((uint64_t)ns)]++;
    for (size_t i = 0; i < n; i++) n_selected += s->scores[i] >= threshold;
    if (fwrite(s->scores, sizeof(float), n, out) != n) break;
    n_rows += n;
    n_calls++;
  }
  if (ferror(in) || ferror(out)) {
    fprintf(stderr, "reading or writing failed: %s\n", strerror(errno));
    return 0;
  }
  printf("%zu of %zu rows selected\n", n_selected, n_rows);
  if (n_calls > 0)
    printf("a call takes %.1f us (median), 99 %% take less than %.1f us\n", percentile(times, n_calls, 0.5),
           percentile(times, n_calls, 0.99));
  return 1;
}

static FILE *opened(const char *path, const char *mode) {
  FILE *file = fopen(path, mode);
  if (file == NULL) fprintf(stderr, "%s: %s\n", path, strerror(errno));
  return file;
}

int main(int argc, char **argv) {
  Scorer scorer = {0};
  FILE *in = NULL, *out = NULL;
  char *end = NULL;
  if (argc != 5 && argc != 6) {
    fprintf(stderr, "usage: %s MODEL.onnx ROWS.f32 THRESHOLD SCORES.f32 [ROWS_A_CALL]\n", argv[0]);
    return 2;
  }
  const float threshold = (float)strtod(argv[3], &end);
  const int is_number = end != argv[3] && *end == '\0';
  const long batch = argc == 6 ? strtol(argv[5], &end, 10) : 10000;
  if (!is_number || *end != '\0' || batch < 1 || batch > 1000000) {
    fprintf(stderr, "the threshold is a number, and a call has 1 to 1000000 rows\n");
    return 2;
  }
  int good = open_scorer(&scorer, argv[1], (size_t)batch) && (in = opened(argv[2], "rb")) != NULL &&
             (out = opened(argv[4], "wb")) != NULL && run(&scorer, in, out, threshold, (size_t)batch);
  if (in != NULL) fclose(in);
  if (out != NULL && fclose(out) != 0) good = 0;
  close_scorer(&scorer);
  return good ? 0 : 1;
}
