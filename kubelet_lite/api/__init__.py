"""What an object is: the types of the Kubernetes API as immutable values, and the rules that several parts must agree on."""
