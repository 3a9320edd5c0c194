WAYS = ("row_lock", "conditional_update")
