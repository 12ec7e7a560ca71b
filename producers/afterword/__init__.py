"""What emits feedback: the SDK that services import."""
