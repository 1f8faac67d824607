"""What do a checkpoint's states, and its floors, say of safe and unsafe prompts?"""
