"""What runs a NIR graph. To add a target: a file or folder beside this that ends in a `Target` called TARGET."""
