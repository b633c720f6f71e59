// The native half of Ledge.java.
//   cc -shared -fPIC -I$JAVA_HOME/include -I$JAVA_HOME/include/linux $(pkg-config --cflags ledge) ledge_jni.c -o libledge_jni.so $(pkg-config --libs ledge)
#include <jni.h>
#include <ledge.h>
#include <string.h>

static void raise(JNIEnv *env, const ledge_error *error) {
    jclass kind = (*env)->FindClass(env, error->code == LEDGE_ERROR_CLOSED ? "java/lang/IllegalStateException" : "java/lang/RuntimeException");
    if (kind != NULL)
        (*env)->ThrowNew(env, kind, error->message);
}

JNIEXPORT jlong JNICALL Java_Ledge_open(JNIEnv *env, jclass type, jstring path) {
    (void)type;
    const char *name = path == NULL ? NULL : (*env)->GetStringUTFChars(env, path, NULL);
    if (path != NULL && name == NULL)
        return 0; // an OutOfMemoryError is on its way
    ledge_error error = LEDGE_ERROR_INIT;
    ledge_model *model = NULL;
    if (ledge_open(name, NULL, &model, &error) != LEDGE_OK)
        raise(env, &error);
    if (name != NULL)
        (*env)->ReleaseStringUTFChars(env, path, name);
    return (jlong)(intptr_t)model;
}

struct listener {
    JNIEnv *env; // callbacks come on the thread that made the call
    jobject object;
    jmethodID text;
};

static int tell(const ledge_token *token, void *user) {
    struct listener *l = user;
    JNIEnv *env = l->env;
    jbyteArray text = (*env)->NewByteArray(env, (jsize)token->length);
    if (text == NULL)
        return 1;
    (*env)->SetByteArrayRegion(env, text, 0, (jsize)token->length, (const jbyte *)token->text);
    (*env)->CallVoidMethod(env, l->object, l->text, text);
    (*env)->DeleteLocalRef(env, text);
    return (*env)->ExceptionCheck(env);
}

JNIEXPORT void JNICALL Java_Ledge_generate(JNIEnv *env, jclass type, jlong handle, jbyteArray prompt, jint max_tokens, jobject object) {
    (void)type;
    struct listener l = {env, object, NULL};
    l.text = (*env)->GetMethodID(env, (*env)->GetObjectClass(env, object), "text", "([B)V");
    jbyte *bytes = l.text == NULL ? NULL : (*env)->GetByteArrayElements(env, prompt, NULL);
    if (bytes == NULL)
        return;
    ledge_error error = LEDGE_ERROR_INIT;
    ledge_generate_options options;
    ledge_generate_options_init(&options, sizeof options);
    options.temperature = 0;
    options.max_tokens = max_tokens;
    ledge_session *session = NULL;
    int status = ledge_session_new((ledge_model *)(intptr_t)handle, &session, &error);
    if (status == LEDGE_OK) {
        status = ledge_generate(session, (const char *)bytes, (size_t)(*env)->GetArrayLength(env, prompt), &options, tell, &l, &error);
        ledge_session_close(session, NULL);
    }
    (*env)->ReleaseByteArrayElements(env, prompt, bytes, JNI_ABORT);
    if (status != LEDGE_OK && !(*env)->ExceptionCheck(env)) // else the listener's own
        raise(env, &error);
}

JNIEXPORT void JNICALL Java_Ledge_close(JNIEnv *env, jclass type, jlong handle) {
    (void)env, (void)type;
    ledge_model_close((ledge_model *)(intptr_t)handle, NULL);
}
